// Command etcd is the etcd server and, started under the name etcdutl or with it as first argument,
// the tool that works on its files while it is stopped (snapshot restore, defragmentation).
package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
	"go.etcd.io/etcd/pkg/v3/cobrautl"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

const utility = "etcdutl"

func main() {
	if filepath.Base(os.Args[0]) == utility {
		runUtility(os.Args[1:])
		return
	}
	if len(os.Args) > 1 && os.Args[1] == utility {
		runUtility(os.Args[2:])
		return
	}
	etcdmain.Main(os.Args)
}

func runUtility(args []string) {
	root := &cobra.Command{Use: utility, Short: "Works on the files of a stopped etcd."}
	flags := root.PersistentFlags()
	flags.DurationVar(&etcdutl.FlockTimeout, "timeout", 10*time.Second,
		"how long to wait for the lock on the database file; 0 waits for ever")
	flags.StringVarP(&etcdutl.OutputFormat, "write-out", "w", "simple",
		"output format: fields, json, protobuf, simple or table")
	root.AddCommand(
		etcdutl.NewDefragCommand(),
		etcdutl.NewHashKVCommand(),
		etcdutl.NewMigrateCommand(),
		etcdutl.NewSnapshotCommand(),
		etcdutl.NewVersionCommand(),
	)
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		cobrautl.ExitWithError(cobrautl.ExitError, err)
	}
}
