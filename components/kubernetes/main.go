// Command kube is kubelet, kube-apiserver, kube-controller-manager, kube-scheduler and kube-proxy
// in one program. Which of them runs is told by the name it was started under, or else by its first
// argument. They share most of their code: together they take a third of the disk, and one page
// cache.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata" // CronJobs name time zones, and the root file system has no zone files.

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // log format "json"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of the API client
	_ "k8s.io/component-base/metrics/prometheus/version"  // metric with the version
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// commands makes each program's command. They are functions because making one registers flags and
// metrics in process-wide tables: only the one that runs may do so.
var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	name, args := program(os.Args)
	command, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "kube: unknown program %q; it is one of %s\n", name, strings.Join(names(), ", "))
		os.Exit(2)
	}
	collectLessAtStart(name)
	// The commands read os.Args themselves.
	os.Args = args
	os.Exit(cli.Run(command()))
}

// program tells which command was asked for and the arguments it should see, its own name first.
func program(args []string) (string, []string) {
	name := filepath.Base(args[0])
	if _, known := commands[name]; !known && len(args) > 1 {
		return args[1], args[1:]
	}
	return name, args
}

func names() []string {
	all := make([]string, 0, len(commands))
	for name := range commands {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
