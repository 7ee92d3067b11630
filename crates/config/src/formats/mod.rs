//! The forms of text in documents: an address, a host name, a label. One table for parser, schema and reference.

mod kubernetes;
mod network;
mod secret;
mod system;

pub(crate) use network::split_host_port;

/// A form of text.
#[derive(Debug)]
pub(crate) struct Format {
    /// `format` in the schema.
    pub(crate) name: &'static str,
    /// What is allowed, as the end of a sentence.
    pub(crate) allowed: &'static str,
    /// Whether values must never be shown.
    pub(crate) secret: bool,
    /// Checks a text.
    pub(crate) check: fn(&str) -> Result<(), Refusal>,
}

/// Why a text does not have the form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reason, as in "has 300 characters".
    pub(crate) reason: String,
    /// What was probably meant.
    pub(crate) suggestion: Option<String>,
}

impl Refusal {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), suggestion: None }
    }

    fn suggest(self, suggestion: impl Into<String>) -> Self {
        Self { suggestion: Some(suggestion.into()), ..self }
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::because(reason)
    }
}

/// The form called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

const fn open(name: &'static str, allowed: &'static str, check: fn(&str) -> Result<(), Refusal>) -> Format {
    Format { name, allowed, secret: false, check }
}

const fn secret(name: &'static str, allowed: &'static str, check: fn(&str) -> Result<(), Refusal>) -> Format {
    Format { name, allowed, secret: true, check }
}

static FORMATS: &[Format] = &[
    open("address", "an IP address with the length of its prefix, as in 192.0.2.10/24", network::address),
    open("certificate", "one certificate in PEM, from -----BEGIN CERTIFICATE----- on", secret::certificate),
    open("cidr", "a range of IP addresses, as in 10.244.0.0/16 or 2001:db8::/64", network::cidr),
    open("disk-id", "a name below /dev/disk/by-id, without the folder", system::disk_id),
    open(
        "disk-size",
        "a size as in 20GiB or 500GB, or a range as in >=20GiB, <2TiB or 100GiB..1TiB",
        system::disk_size,
    ),
    open("domain", "a DNS domain, as in cluster.local", network::domain),
    open(
        "flag",
        "the name of a flag without leading dashes: lower-case letters, digits and -",
        kubernetes::flag,
    ),
    open("health-deadline", "a duration from 30s to 1h, as in 90s, 10m or 1h", system::health_deadline),
    open("host", "a DNS name or an IP address", network::host),
    open(
        "hostname",
        "lower-case letters, digits, - and . (RFC 1123), at most 63 characters",
        network::hostname,
    ),
    open(
        "http-url",
        "a URL with http:// or https://, a host and possibly a port and a path",
        network::http_url,
    ),
    open("https-url", "a URL of the form https://HOST:PORT", network::https_url),
    open("ip", "an IPv4 or IPv6 address, as in 192.0.2.1 or 2001:db8::1", network::ip),
    open("label-key", "a Kubernetes label key, as in example.com/role", kubernetes::label_key),
    open("label-value", "letters, digits, -, _ and ., at most 63 characters", kubernetes::label_value),
    open("line", "one line of text, at most 255 characters", system::line),
    open("link-name", "the name of a network interface, at most 15 characters", network::link_name),
    open("mac", "a hardware address in lower case, as in 52:54:00:12:34:56", network::mac),
    open("module-name", "letters, digits, - and _", system::module_name),
    open("module-parameter", "name or name=value", system::module_parameter),
    open("pattern", "text in which * stands for any characters and ? for one", system::line),
    open(
        "registry-host",
        "a host with an optional port, as in docker.io or 192.0.2.1:5000, or *",
        network::registry,
    ),
    open("soak", "a duration from 0s to 10m, as in 10s or 1m30s", system::soak),
    open("sysctl", "a name below /proc/sys, as in vm.max_map_count", system::sysctl),
    open(
        "taint",
        "key=value:Effect or key:Effect, Effect one of NoSchedule, PreferNoSchedule, NoExecute",
        kubernetes::taint,
    ),
    open("word", "text without white space, at most 255 characters", system::word),
    secret("key32", "32 bytes in base64", secret::key32),
    secret(
        "private-key",
        "one private key in PEM (PKCS#8), from -----BEGIN PRIVATE KEY----- on",
        secret::private_key,
    ),
    secret("token", "six lower-case letters or digits, a dot, and sixteen more", secret::token),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_its_form() {
        for mark in crate::types::text::MARKS {
            assert!(find(mark).is_some(), "{mark}");
        }
    }

    #[test]
    fn no_form_accepts_nothing_or_a_line_break() {
        for format in FORMATS {
            assert!((format.check)("\n").is_err(), "{}", format.name);
            // An empty label value is legal in Kubernetes.
            assert!((format.check)("").is_err() || format.name == "label-value", "{}", format.name);
        }
    }

    #[test]
    fn forms_accept_and_refuse() {
        for (name, good, bad) in [
            (
                "address",
                &["192.0.2.10/24", "2001:db8::10/64"][..],
                &["192.0.2.10", "192.0.2.10/33", "x/24"][..],
            ),
            ("cidr", &["10.0.0.0/8", "::/0", "0.0.0.0/0"], &["10.0.0.1/8", "10.0.0.0", "default"]),
            ("disk-id", &["nvme-Samsung_SSD", "wwn-0x5000"], &["/dev/disk/by-id/wwn-0x5000", "a b"]),
            ("disk-size", &["20GiB", ">=500GB", "1GiB..2GiB"], &["20", "20GiB..", "= 20GiB"]),
            ("domain", &["cluster.local", "example.com"], &["-x.com", "a..b", "EXAMPLE.com"]),
            ("flag", &["max-requests-inflight"], &["--v", "Max", "a b"]),
            ("health-deadline", &["30s", "1h", "10m"], &["29s", "61m", "10"]),
            ("host", &["ntp.example.com", "192.0.2.1", "2001:db8::1"], &["https://x", "a b", "[::1]"]),
            ("hostname", &["worker-1", "a.b"], &["Worker", "a_b", "-a", "a-"]),
            (
                "http-url",
                &["http://192.0.2.1:5000/v2", "https://m.example.com"],
                &["ftp://x", "http://", "x"],
            ),
            (
                "https-url",
                &["https://192.0.2.1:6443"],
                &["http://192.0.2.1", "https://h/path", "https://h:0"],
            ),
            ("ip", &["192.0.2.1", "::1"], &["192.0.2.1/24", "300.1.1.1"]),
            ("label-key", &["example.com/role", "zone"], &["/x", "a/b/c", "-a", "Example.com/x"]),
            ("label-value", &["west-1", "", "a_b.c"], &["-a", "a b"]),
            ("line", &["t10.ATA     QEMU", "x"], &["a\nb", " x"]),
            ("link-name", &["eth0", "enp0s2"], &["a/b", "averyveryverylongname", "."]),
            ("mac", &["52:54:00:12:34:56"], &["52:54:00:12:34", "52:54:00:AB:34:56", "52-54-00-12-34-56"]),
            ("module-name", &["br_netfilter"], &["../x", "a.ko"]),
            ("module-parameter", &["a=b", "flag"], &["=b", "a b"]),
            ("pattern", &["Samsung SSD*", "?"], &["a\tb"]),
            (
                "registry-host",
                &["docker.io", "192.0.2.1:5000", "*"],
                &["https://docker.io", "docker.io/library"],
            ),
            ("soak", &["0s", "10m"], &["11m", "-1s"]),
            ("sysctl", &["vm.max_map_count", "net/ipv4/conf/eth0.1/forwarding"], &["../x", ".a", "vm"]),
            ("taint", &["a=b:NoSchedule", "a:NoExecute"], &["a", "a=b:Never", "=b:NoExecute"]),
            ("word", &["abc_-="], &["a b"]),
            ("key32", &["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="], &["AAAA", "!"]),
            ("token", &["abcdef.0123456789abcdef"], &["abcdef", "ABCDEF.0123456789abcdef"]),
        ] {
            let check = find(name).unwrap().check;
            for text in good {
                assert_eq!(check(text), Ok(()), "{name} {text:?}");
            }
            for text in bad {
                assert!(check(text).is_err(), "{name} {text:?}");
            }
        }
    }
}
