//! Whether the API answers over the network: a call at an address that others use, which apid has to let in and machined
//! has to answer. A handshake alone would be apid's, and a machine whose machined is mute cannot be updated any more.

use std::net::SocketAddr;
use std::time::Duration;

use corten_api::access::READER;
use corten_client::{Client, ClientError, Identity, Options};
use corten_controller::BoxError;
use corten_pki::{Ca, KeyType, LeafRequest, Usage};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// For the connection, and for the call.
const PATIENCE: Duration = Duration::from_secs(10);
/// The identity is for the calls of one look.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Tries the addresses until the API answers at one. In maintenance, nobody needs an identity.
///
/// # Errors
/// Says what each address did.
pub async fn api(addresses: &[SocketAddr], identity: Option<&Identity>) -> Result<(), String> {
    if addresses.is_empty() {
        return Err("the machine has no address that others could reach".to_owned());
    }
    let mut said = Vec::new();
    for address in addresses {
        match call(*address, identity).await {
            Ok(()) => return Ok(()),
            Err(error) => said.push(crate::errors::chain(&error)),
        }
    }
    Err(said.join("; "))
}

async fn call(address: SocketAddr, identity: Option<&Identity>) -> Result<(), ClientError> {
    let (node, options) =
        (address.to_string(), Options { connect_timeout: PATIENCE, call_timeout: Some(PATIENCE) });
    let client = match identity {
        Some(identity) => Client::connect_as(identity, &node, options).await?,
        None => Client::connect_insecure(&node, None, options).await?,
    };
    let answer = HealthClient::new(client.channel()).check(HealthCheckRequest::default()).await;
    answer.map(drop).map_err(|status| client.error(&status))
}

/// What this node's API knows a caller by who may look.
///
/// # Errors
/// When the CA cannot sign.
pub fn identity(ca: &Ca) -> Result<Identity, BoxError> {
    let leaf = ca.issue(&LeafRequest {
        common_name: "health-gate".to_owned(),
        organizations: vec![READER.to_owned()],
        dns_names: Vec::new(),
        ips: Vec::new(),
        usage: Usage::Client,
        lifetime: LIFETIME,
        key: KeyType::Ed25519,
    })?;
    let key = leaf.key_pem.expose();
    Ok(Identity::from_pem(ca.cert_pem.as_bytes(), leaf.cert_pem.as_bytes(), key.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_address_and_nobody_there_are_told_apart() {
        assert!(api(&[], None).await.unwrap_err().contains("no address"));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(api(&[free], None).await.unwrap_err().contains(&free.to_string()));
    }
}
