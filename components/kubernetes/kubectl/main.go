// Command kubectl is upstream's kubectl, built from the same modules as the cluster it talks to.
package main

import (
	"os"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // credentials of cloud providers and OIDC
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	// Verbosity counts from the first line on, before cobra parses the flags: finding plugins and
	// reading the user's preferences already log.
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
