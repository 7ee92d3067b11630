// Command flanneld connects the pods of all nodes: it takes this node's pod network from its Node
// object, makes the overlay device, keeps a route to every other node, and writes the result to a
// subnet file.
//
// Upstream's own program links every cloud vendor's backend and falls back to iptables and etcd.
// This one has the two backends that a cluster of ours can ask for (vxlan and host-gw), nftables
// and the Kubernetes API, and takes the same flags for them. It retries what upstream exits on: a
// Node that is not there yet, or has no pod network yet, is normal while a cluster starts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr/nftables"
	"github.com/flannel-io/flannel/pkg/version"
	"k8s.io/klog/v2"
)

// annotationPrefix is where flannel keeps a node's overlay address in its Node object.
const annotationPrefix = "flannel.alpha.coreos.com"

type options struct {
	kubeconfig string
	netConf    string
	subnetFile string
	iface      string
	publicIP   string
	publicIPv6 string
	masquerade bool
	healthIP   string
	healthPort int
	version    bool
}

func main() {
	opts := parseFlags()
	if opts.version {
		fmt.Println(version.Version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil && !errors.Is(err, context.Canceled) {
		klog.ErrorS(err, "flanneld ends")
		os.Exit(1)
	}
}

func parseFlags() options {
	var o options
	klog.InitFlags(nil)
	flag.StringVar(&o.kubeconfig, "kubeconfig-file", "", "kubeconfig of the API server (required)")
	flag.StringVar(&o.netConf, "net-config-path", "/etc/kube-flannel/net-conf.json", "network configuration, JSON")
	flag.StringVar(&o.subnetFile, "subnet-file", "/run/flannel/subnet.env", "where to write this node's network")
	flag.StringVar(&o.iface, "iface", "", "interface to other nodes, by name or address; default: the default route's")
	flag.StringVar(&o.publicIP, "public-ip", "", "IPv4 address that other nodes reach this one at; default: the interface's")
	flag.StringVar(&o.publicIPv6, "public-ipv6", "", "IPv6 address that other nodes reach this one at; default: the interface's")
	flag.BoolVar(&o.masquerade, "ip-masq", false, "masquerade what pods send to addresses outside of the pod network")
	flag.StringVar(&o.healthIP, "healthz-ip", "127.0.0.1", "address that /healthz listens on")
	flag.IntVar(&o.healthPort, "healthz-port", 0, "port that /healthz listens on; 0 is off")
	flag.BoolVar(&o.version, "version", false, "print the version and exit")
	flag.Parse()
	return o
}

// run brings the network up and keeps it until the context ends.
func run(ctx context.Context, opts options) error {
	health := newHealth()
	if opts.healthPort > 0 {
		if err := health.serve(ctx, opts.healthIP, opts.healthPort); err != nil {
			return err
		}
	}
	if err := waitForPodCIDR(ctx, opts.kubeconfig, os.Getenv("NODE_NAME")); err != nil {
		return err
	}
	manager, err := kube.NewSubnetManager(ctx, "", opts.kubeconfig, annotationPrefix, opts.netConf, true)
	if err != nil {
		return fmt.Errorf("start the subnet manager: %w", err)
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return fmt.Errorf("read the network configuration: %w", err)
	}

	var running sync.WaitGroup
	network, err := register(ctx, &running, manager, config, opts)
	if err != nil {
		return err
	}
	lease := network.Lease()
	if err := allowTraffic(ctx, config, network, opts.masquerade); err != nil {
		return err
	}
	err = manager.HandleSubnetFile(opts.subnetFile, config, opts.masquerade, lease.Subnet, lease.IPv6Subnet, network.MTU())
	if err != nil {
		return fmt.Errorf("write %s: %w", opts.subnetFile, err)
	}
	if err := manager.CompleteLease(ctx, lease, &running); err != nil {
		return fmt.Errorf("tell the API server that the network is up: %w", err)
	}
	health.setReady()
	klog.InfoS("network is up", "subnet", lease.Subnet, "backend", config.BackendType, "mtu", network.MTU())

	network.Run(ctx) // until the context ends
	running.Wait()
	return nil
}

// register makes the overlay device and publishes its address in the Node object.
func register(
	ctx context.Context,
	running *sync.WaitGroup,
	manager subnet.Manager,
	config *subnet.Config,
	opts options,
) (backend.Network, error) {
	external, err := externalInterface(config, opts)
	if err != nil {
		return nil, fmt.Errorf("find the interface to other nodes: %w", err)
	}
	chosen, err := backend.NewManager(ctx, manager, external).GetBackend(config.BackendType)
	if err != nil {
		return nil, err
	}
	network, err := chosen.RegisterNetwork(ctx, running, config)
	if err != nil {
		return nil, fmt.Errorf("register the %s network: %w", config.BackendType, err)
	}
	return network, nil
}

func externalInterface(config *subnet.Config, opts options) (*backend.ExternalInterface, error) {
	stack, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	public := ipmatch.PublicIPOpts{PublicIP: opts.publicIP, PublicIPv6: opts.publicIPv6}
	name := opts.iface
	if name == "" {
		name = opts.publicIP
	}
	return ipmatch.LookupExtIface(name, "", "", stack, public)
}

// allowTraffic lets pod traffic be forwarded and, if asked to, leave the node masqueraded.
func allowTraffic(ctx context.Context, config *subnet.Config, network backend.Network, masquerade bool) error {
	const unused = 0 // resync period: nftables rules are set once
	rules := &nftables.NFTablesManager{}
	if !masquerade { // an earlier run may have masqueraded; every other chain is emptied before it is filled
		if err := rules.CleanUp(ctx); err != nil {
			return fmt.Errorf("remove the rules of an earlier run: %w", err)
		}
	}
	if err := rules.Init(ctx); err != nil {
		return err
	}
	rules.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, unused)
	if !masquerade {
		return nil
	}
	return rules.SetupAndEnsureMasqRules(ctx,
		config.Network, ip.IP4Net{}, ip.IP4Net{},
		config.IPv6Network, ip.IP6Net{}, ip.IP6Net{},
		network.Lease(), unused, false)
}
