//! Properties: writing and reading a config gives the same config, and no text makes the parser panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod common;

use std::collections::BTreeMap;

use common::{config, controlplane, parse, worker};
use corten_config::{
    Config, DiskSelector, Glob, Hostname, Install, KernelModule, Kubelet, Link, LinkMatch, Mirror, Registry,
    Resolver, Route, Source, Sysctl, Time, UpdatePolicy, diff,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Words that YAML might take for something else.
fn tricky() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "yes", "no", "null", "~", "1.10", "0777", "0x1F", "1e3", "12:30", "true", "- x", "a: b", "", "#",
        ".inf",
    ];
    prop_oneof![prop::sample::select(ODD).prop_map(str::to_owned), "[ -~]{0,20}", "\\PC{0,12}", "a\n b\n\n"]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(|number: f64| Value::from(number)),
        tricky().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(tricky(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn link() -> impl Strategy<Value = Link> {
    let selector =
        prop::option::of("[a-z_]{1,10}").prop_map(|driver| LinkMatch { driver, ..LinkMatch::default() });
    let name = prop::option::of("[a-z][a-z0-9]{1,8}");
    (
        name,
        selector,
        any::<bool>(),
        any::<[u8; 2]>(),
        prop::option::of(1280_u32..65535),
        prop::option::of(any::<u32>()),
    )
        .prop_map(|(name, selector, dhcp4, host, mtu, metric)| Link {
            selector: name.is_none().then(|| LinkMatch { bus_path: Some("0000:00:02.0".into()), ..selector }),
            name,
            dhcp4,
            addresses: vec![
                format!("2001:db8::{:x}:{:x}/64", host[0], u16::from(host[1]) + 1).parse().unwrap(),
            ],
            routes: vec![Route {
                to: "::/0".parse().unwrap(),
                via: Some("fe80::1".parse().unwrap()),
                metric,
            }],
            mtu,
            up: true,
        })
}

fn registry() -> impl Strategy<Value = Registry> {
    ("[a-z]{1,10}\\.[a-z]{2,3}", any::<bool>(), any::<bool>()).prop_map(
        |(host, override_path, skip_verify)| Registry {
            mirrors: vec![Mirror { endpoint: format!("https://{host}:5000/v2"), ca: None, skip_verify }],
            host,
            override_path,
        },
    )
}

fn kubelet() -> impl Strategy<Value = Kubelet> {
    let labels = prop::collection::btree_map("[a-z]{1,8}/[a-z]{1,8}", "[a-zA-Z0-9]{0,8}", 0..4);
    let extra = prop::option::of(json().prop_map(|value| ("evictionHard".to_owned(), value)));
    (labels, prop::option::of(1_u32..1024), extra).prop_map(|(node_labels, max_pods, extra)| Kubelet {
        node_labels,
        max_pods,
        extra_config: extra.into_iter().collect::<Map<_, _>>(),
        ..Kubelet::default()
    })
}

fn install() -> impl Strategy<Value = Install> {
    let sizes = prop::sample::select(vec![">=20GiB", "500GB", "1B..2PiB", "<1TiB"]);
    (sizes, prop::option::of("[!-~]{1,20}( [!-~]{1,20})?"), prop::option::of(any::<bool>()), any::<bool>())
        .prop_map(|(size, text, rotational, wipe)| Install {
            disk: DiskSelector {
                size: Some(size.parse().unwrap()),
                model: text.clone().map(Glob::new),
                serial: text,
                rotational,
                ..DiskSelector::default()
            },
            wipe,
        })
}

fn update_policy() -> impl Strategy<Value = UpdatePolicy> {
    (30_u64..=3600, 1_u8..=9, 0_u64..=600).prop_map(|(deadline, tries, soak)| UpdatePolicy {
        health_deadline: std::time::Duration::from_secs(deadline),
        tries,
        soak: std::time::Duration::from_secs(soak),
    })
}

prop_compose! {
    fn any_config()(
        controlplane_role in any::<bool>(),
        links in prop::collection::vec(link(), 0..2),
        hostname in prop::option::of("[a-z0-9]{1,10}(-[a-z0-9]{1,4})?"),
        nameservers in prop::collection::vec(any::<std::net::IpAddr>(), 0..3),
        enabled in any::<bool>(),
        kubelet in prop::option::of(kubelet()),
        registries in prop::collection::vec(registry(), 0..2),
        settings in prop::collection::btree_map("vm\\.[a-z_]{1,8}", tricky(), 0..3),
        module in prop::option::of("[a-z_]{1,10}"),
        life in (prop::option::of(install()), prop::option::of(update_policy())),
    ) -> Config {
        let mut config = config(if controlplane_role { controlplane() } else { worker() });
        config.links = links;
        config.hostname = hostname.map(|hostname| Hostname { hostname });
        config.resolver = Some(Resolver { nameservers, search_domains: vec!["example.com".into()] });
        config.time = Some(Time { enabled, servers: Vec::new() });
        config.kubelet = kubelet;
        config.registries = registries;
        config.sysctl = Some(Sysctl { settings: settings.into_iter().collect::<BTreeMap<_, _>>() });
        (config.install, config.update_policy) = life;
        config.kernel_modules = module.into_iter().map(|name| KernelModule { name, parameters: vec!["a=b".into()] }).collect();
        config
    }
}

/// Whether the values contradict each other by chance, as two links of one name do.
fn is_sound(config: &Config) -> bool {
    let distinct =
        |names: Vec<String>| names.len() == names.iter().collect::<std::collections::BTreeSet<_>>().len();
    let addresses =
        config.links.iter().flat_map(|link| &link.addresses).map(|net| net.addr().to_string()).collect();
    let links = config.links.iter().map(|link| format!("{:?}{:?}", link.name, link.selector)).collect();
    distinct(addresses)
        && distinct(links)
        && distinct(config.registries.iter().map(|registry| registry.host.clone()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_again(config in any_config().prop_filter("sound", is_sound)) {
        let yaml = config.to_yaml();
        let again = Config::parse(&yaml, &Source::new("again")).map_err(|found| TestCaseError::fail(format!("{found}\n{yaml}")))?;
        prop_assert_eq!(&again, &config);
        prop_assert_eq!(again.digest(), config.digest());
        prop_assert!(diff(&config, &again).is_empty());
    }

    #[test]
    fn different_configs_have_a_diff_and_another_digest(one in any_config(), two in any_config()) {
        prop_assert_eq!(one == two, diff(&one, &two).is_empty());
        prop_assert_eq!(one == two, one.digest() == two.digest());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Config::parse_bytes(&bytes, &Source::new("bytes")).map_err(|found| found.to_string());
    }

    #[test]
    fn arbitrary_yaml_like_text_does_not_panic(text in "([-:?{}\\[\\],&*!|>'\"%@`#~ \n\t]|[a-z]{1,4}|kind: Link|apiVersion: corten.dev/v1|---\n|é){0,60}") {
        let _ = parse(&text).map_err(|found| found.to_string());
    }

    #[test]
    fn a_damaged_config_does_not_panic(cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = controlplane().as_bytes().to_vec();
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        let _ = Config::parse_bytes(&bytes, &Source::new("flip")).map_err(|found| found.to_string());
        bytes.truncate(at);
        let _ = Config::parse_bytes(&bytes, &Source::new("cut")).map_err(|found| found.to_string());
    }
}

#[test]
fn no_truncation_of_a_control_plane_config_is_accepted_or_panics() {
    // The last document counts only as a whole: `allowSchedulingOnControlPlane` has a default, so stop before it.
    let text = controlplane();
    let end = text.find("allowSchedulingOnControlPlane").unwrap();
    let token = text[..end].rfind("token:").unwrap();
    for at in (0..token).filter(|at| text.is_char_boundary(*at)).step_by(7) {
        assert!(parse(&text[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn deep_and_wide_texts_are_refused_quickly() {
    let start = std::time::Instant::now();
    for text in [
        "[".repeat(100_000),
        "- ".repeat(100_000),
        "a: {".repeat(50_000),
        "? ".repeat(50_000),
        "{a: &a [*a]}\n---\n".repeat(5_000),
    ] {
        assert!(parse(&text).is_err());
    }
    let wide: String = (0..60_000).map(|number| format!("k{number}: 1\n")).collect();
    assert!(parse(&format!("apiVersion: corten.dev/v1\nkind: Etcd\n{wide}")).is_err());
    assert!(parse(&"x".repeat((1 << 20) + 1)).unwrap_err().items[0].message.contains("bytes"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
