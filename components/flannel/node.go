package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// nodePollInterval is how often to look for the Node object while the cluster starts.
const nodePollInterval = 500 * time.Millisecond

var errNoPodCIDR = errors.New("the node has no pod network yet")

// waitForPodCIDR returns once the node has a pod network, or when the context ends.
//
// Upstream's subnet manager looks every three seconds and gives up after ten tries, which makes the
// start of a cluster depend on how a restart falls.
func waitForPodCIDR(ctx context.Context, kubeconfig, node string) error {
	if kubeconfig == "" || node == "" {
		return errors.New("-kubeconfig-file and the environment variable NODE_NAME are required")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("load %s: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make an API client: %w", err)
	}
	last := ""
	for {
		err := checkPodCIDR(ctx, client, node)
		if err == nil {
			return nil
		}
		if reason := err.Error(); reason != last { // say each reason once
			klog.InfoS("waiting for the node's pod network", "node", node, "reason", reason)
			last = reason
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(nodePollInterval):
		}
	}
}

func checkPodCIDR(ctx context.Context, client kubernetes.Interface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if node.Spec.PodCIDR == "" {
		return errNoPodCIDR
	}
	return nil
}
