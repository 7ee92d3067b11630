//! Keys and roles: a control-plane machine has every authority's key, a worker has none, and halves match.

use super::{Checker, Place};
use crate::diagnostic::Code;
use crate::report::Finding;
use crate::types::authority::CertificateAuthority;
use crate::types::system::machine::Role;

/// A secret of control-plane machines.
struct KeyPlace<'d> {
    kind: &'static str,
    path: &'static [&'static str],
    present: bool,
    /// Whether this is a whole authority, of which a worker needs not even the certificate.
    authority: Option<&'d CertificateAuthority>,
}

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    let documents = checker.documents;
    let Some(machine) = &documents.machine else { return };
    let mut keys = vec![authority("Machine", &["ca", "key"], Some(&machine.ca))];
    if let Some(cluster) = &documents.cluster {
        keys.push(authority("Cluster", &["ca", "key"], Some(&cluster.ca)));
        keys.push(authority("Cluster", &["aggregatorCA", "key"], cluster.aggregator_ca.as_ref()));
        keys.push(authority("Cluster", &["etcdCA", "key"], cluster.etcd_ca.as_ref()));
        keys.push(bare("Cluster", &["serviceAccountKey"], cluster.service_account_key.is_some()));
        keys.push(bare("Cluster", &["encryptionKey"], cluster.encryption_key.is_some()));
    }
    for key in &keys {
        match (machine.role, key.present) {
            (Role::Controlplane, false) => missing(checker, key),
            (Role::Worker, true) => misplaced(checker, key),
            _ => {}
        }
        pair(checker, key);
    }
}

fn authority<'d>(
    kind: &'static str,
    path: &'static [&'static str],
    authority: Option<&'d CertificateAuthority>,
) -> KeyPlace<'d> {
    KeyPlace { kind, path, present: authority.is_some_and(|ca| ca.key.is_some()), authority }
}

fn bare(kind: &'static str, path: &'static [&'static str], present: bool) -> KeyPlace<'static> {
    KeyPlace { kind, path, present, authority: None }
}

fn missing(checker: &mut Checker<'_, '_>, key: &KeyPlace<'_>) {
    let message = format!("a control-plane machine needs {}.{}", key.kind, key.path.join("."));
    let hint = "take it from the cluster's secrets; `osctl gen config` writes it";
    checker.contradiction(&Place::new(key.kind, 0, key.path), message, hint);
}

fn misplaced(checker: &mut Checker<'_, '_>, key: &KeyPlace<'_>) {
    let message = format!("{}.{} does not belong on a worker", key.kind, key.path.join("."));
    let hint = "remove it: whoever breaks into a worker must not own the cluster";
    checker.contradiction(&Place::new(key.kind, 0, key.path), message, hint);
}

/// The two halves of an authority belong together.
fn pair(checker: &mut Checker<'_, '_>, key: &KeyPlace<'_>) {
    let Some(authority) = key.authority else { return };
    let owner = &key.path[..1];
    let name = format!("{}.{}", key.kind, owner.join("."));
    match corten_pki::inspect(&authority.certificate) {
        Ok(info) if !info.is_ca => {
            let message = format!("the certificate in {name} is not that of a certificate authority");
            let hint = "put the authority's own certificate there, not one that it issued";
            let finding = Finding::error(Code::BadValue, message, hint);
            checker.add(&Place::new(key.kind, 0, &[owner[0], "certificate"]), finding);
        }
        Ok(_) if authority.to_ca().is_some_and(|ca| ca.check().is_err()) => {
            let message = format!("the key in {name} does not belong to its certificate");
            let hint = "take both from the same secrets bundle";
            checker.contradiction(&Place::new(key.kind, 0, key.path), message, hint);
        }
        // What cannot be read was reported where it stands.
        _ => {}
    }
}
