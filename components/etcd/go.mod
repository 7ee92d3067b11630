module corten.dev/components/etcd

go 1.26
