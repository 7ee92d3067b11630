//! Whether the API answers over the network: a TLS handshake at an address that others use. Who answers at our own address
//! is not in question, only that somebody does.

use std::net::SocketAddr;

/// Tries the addresses until one answers.
///
/// # Errors
/// Says what each address did.
pub async fn api(addresses: &[SocketAddr]) -> Result<(), String> {
    if addresses.is_empty() {
        return Err("the machine has no address that others could reach".to_owned());
    }
    let mut said = Vec::new();
    for address in addresses {
        match corten_client::answers((*address).into()).await {
            Ok(()) => return Ok(()),
            Err(problem) => said.push(format!("{address}: {problem}")),
        }
    }
    Err(said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_address_and_nobody_there_are_told_apart() {
        assert!(api(&[]).await.unwrap_err().contains("no address"));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(api(&[free]).await.unwrap_err().contains(&free.to_string()));
    }
}
