//! Who is calling, and may they: before any handler sees the request.
//!
//! Only root and apid may connect. apid has checked the client's certificate and says who it is in two headers, which it
//! strips from what clients send. The rule of each method is an option in its proto; a method without one is refused.

use std::task::{Context, Poll};

use corten_api::access::{Decision, allowed, only_looks};
use corten_api::{codes, error, peer};
use corten_constants::{ids, labels};
use corten_resources::block::VolumeStatus;
use corten_resources::config::{ConfigSourceStatus, MachineConfig};
use corten_store::Store;
use futures::future::{Either, Ready, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::server::UdsConnectInfo;
use tower::{Layer, Service};

use crate::node::Node;

/// The client, as apid knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// Common name of the certificate; empty for a caller without one.
    pub(super) name: String,
    /// Organizations of the certificate.
    pub(super) roles: Vec<String>,
    /// Address and port.
    pub(super) address: String,
}

impl Caller {
    /// Whether secrets may be shown.
    pub(super) fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role == corten_api::access::ADMIN)
    }

    /// The caller of a request; nobody when the layer did not run.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// What apid says about the caller. What cannot be decoded gives no name and no role.
    fn from_headers(headers: &http::HeaderMap) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
            name: peer::decode(header(peer::NAME)).unwrap_or_default(),
            roles: peer::decode_roles(header(peer::ROLES)),
            address: header(peer::ADDRESS).to_owned(),
        }
    }
}

/// Puts [`Auth`] in front of all services.
#[derive(Debug, Clone)]
pub(super) struct AuthLayer {
    node: Node,
}

impl AuthLayer {
    pub(super) fn new(node: Node) -> Self {
        Self { node }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, node: self.node.clone() }
    }
}

/// Refuses what is not allowed, with a reason.
#[derive(Debug, Clone)]
pub(super) struct Auth<S> {
    inner: S,
    node: Node,
}

impl<S> Service<http::Request<Body>> for Auth<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let maintenance = self.node.store.get::<MachineConfig>(MachineConfig::ACTIVE).is_none();
        let checked = check(&request, maintenance);
        let path = request.uri().path();
        match checked.and_then(|caller| protect(&self.node.store, maintenance, path).map(|()| caller)) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}

fn check<B>(request: &http::Request<B>, maintenance: bool) -> Result<Caller, Box<Status>> {
    let refuse = |code, message: String, hint: &str| Err(Box::new(error::status(code, message, hint)));
    let process = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    let own = nix::unistd::geteuid().as_raw();
    if !process.is_some_and(|cred| [ids::ROOT, ids::APID, own].contains(&cred.uid())) {
        return refuse(codes::ACCESS_DENIED, "only apid may call machined".into(), "");
    }
    let caller = Caller::from_headers(request.headers());
    let path = request.uri().path();
    match allowed(path, &caller.roles, maintenance) {
        Decision::Allow => Ok(caller),
        Decision::Deny => {
            let rule =
                corten_api::access::table().get(path).map(|rule| rule.roles.join(", ")).unwrap_or_default();
            let has = if caller.roles.is_empty() { "no role".to_owned() } else { caller.roles.join(", ") };
            refuse(
                codes::ACCESS_DENIED,
                format!(
                    "{path} needs one of the roles {rule}; the certificate of {:?} has {has}",
                    caller.name
                ),
                "use a context whose certificate has the role",
            )
        }
        Decision::NeedsConfig => refuse(
            codes::MACHINE_MAINTENANCE,
            format!("{path} needs a machine with a config, and this one has none yet"),
            "osctl apply-config --insecure --fingerprint <shown on the console> -f <config>",
        ),
        Decision::Unknown => Err(Box::new(Status::unimplemented(format!("there is no method {path}")))),
    }
}

/// In maintenance nobody shows a certificate. While STATE cannot be used there may be a config on it all the same, and a
/// machine that belongs to somebody is not for strangers to erase or to send down: they look, and nothing else.
fn protect(store: &Store, maintenance: bool, path: &str) -> Result<(), Box<Status>> {
    let Some(state) = store.get::<VolumeStatus>(labels::STATE) else { return Ok(()) };
    // A STATE that has just been mounted may not have been read yet.
    let read = state.spec.is_mounted() && store.get::<ConfigSourceStatus>(ConfigSourceStatus::ALL).is_some();
    if !maintenance || read || only_looks(path) {
        return Ok(());
    }
    let message = format!(
        "STATE cannot be used, and the config of this machine may be on it: it does nothing for callers without a \
         certificate: {}",
        state.spec.message
    );
    let hint = "switch it off and on, or start it from the install medium to erase it: osctl reset --disk --insecure";
    Err(Box::new(error::status(codes::ACCESS_DENIED, message, hint)))
}

#[cfg(test)]
mod tests {
    use corten_resources::block::VolumePhase;

    use super::*;

    #[test]
    fn a_machine_whose_state_is_broken_shows_itself_to_strangers_and_does_nothing_for_them() {
        let store = Store::new();
        let open = |method: &str| protect(&store, true, &format!("/corten.v1.{method}")).is_ok();
        assert!(open("MachineService/Reset"), "an install medium has no STATE");
        for phase in [VolumePhase::Failed, VolumePhase::Checking, VolumePhase::Mounted] {
            let state = VolumeStatus { phase, message: "bad sectors".into(), ..VolumeStatus::default() };
            store.put::<VolumeStatus>("test", labels::STATE, state).unwrap();
            for method in ["Reset", "Reboot", "Shutdown"] {
                assert!(!open(&format!("MachineService/{method}")), "{method} while {phase:?}");
            }
            assert!(open("MachineService/Status") && open("StorageService/Disks"), "{phase:?}");
        }
        let refused = protect(&store, true, "/corten.v1.MachineService/Reset").unwrap_err();
        assert!(refused.message().ends_with("bad sectors"), "{}", refused.message());
        assert!(protect(&store, false, "/corten.v1.MachineService/Reset").is_ok(), "roles decide");
        store
            .put::<ConfigSourceStatus>("test", ConfigSourceStatus::ALL, ConfigSourceStatus::default())
            .unwrap();
        assert!(open("MachineService/Reset"), "it is certain that there is no config");
    }

    /// A request of this very process, as apid would pass it on.
    fn request(path: &str, roles: &str) -> http::Request<()> {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cred =
            runtime.block_on(async { tokio::net::UnixStream::from_std(ours).unwrap().peer_cred().unwrap() });
        let mut request = http::Request::builder().uri(path).header(peer::ROLES, roles).body(()).unwrap();
        request.extensions_mut().insert(UdsConnectInfo { peer_addr: None, peer_cred: Some(cred) });
        request
    }

    #[test]
    fn every_method_refuses_every_role_that_its_rule_does_not_name() {
        for (path, rule) in corten_api::access::table() {
            for role in corten_api::access::ROLES {
                let allowed = check(&request(path, role), false).is_ok();
                assert_eq!(allowed, rule.roles.iter().any(|name| name == role), "{path} as {role}");
            }
            assert!(check(&request(path, ""), false).is_err(), "{path} without a role");
        }
    }

    #[test]
    fn a_connection_that_is_not_from_apid_is_refused() {
        let request = http::Request::builder()
            .uri("/corten.v1.MachineService/Version")
            .header(peer::ROLES, "os:admin")
            .body(())
            .unwrap();
        assert_eq!(check(&request, false).unwrap_err().code(), tonic::Code::PermissionDenied);
    }

    #[test]
    fn a_refusal_says_what_is_needed_and_what_there_is() {
        let status = check(&request("/corten.v1.MachineService/Reboot", "os:reader"), false).unwrap_err();
        assert!(status.message().contains("os:operator"), "{}", status.message());
        assert!(status.message().contains("os:reader"), "{}", status.message());
    }
}
