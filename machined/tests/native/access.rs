//! Who may call what: every method with every role, over the wire, with a codec that knows no message.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use corten_api::access;
use corten_client::Client;
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
};

use crate::node::{Node, Shows, options};

/// A stream that goes on for ever is judged by whether it begins.
const BEGINS: Duration = Duration::from_millis(300);

/// Messages as bytes; no bytes are the default message of any type.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}

/// Call `path` with one empty message, and say how it ended: `Ok` when it began to answer.
async fn call(client: &Client, path: &str, metadata: MetadataMap) -> Code {
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready().await.unwrap();
    let request = Request::from_parts(metadata, Default::default(), tokio_stream::iter([Bytes::new()]));
    let exchange = async {
        match grpc.streaming(request, path.parse().unwrap(), Raw).await {
            Ok(response) => {
                response.into_inner().message().await.err().map_or(Code::Ok, |status| status.code())
            }
            Err(status) => status.code(),
        }
    };
    tokio::time::timeout(BEGINS * 10, exchange).await.unwrap_or(Code::Ok)
}

/// Every method; those that end the machine last, since some others behave differently after them.
fn methods() -> Vec<(&'static str, &'static access::Rule)> {
    let ends = |path: &str| ["/Reboot", "/Shutdown"].iter().any(|method| path.ends_with(method));
    let mut methods: Vec<_> = access::table().iter().map(|(path, rule)| (path.as_str(), rule)).collect();
    methods.sort_by_key(|(path, _)| ends(path));
    methods
}

#[tokio::test]
async fn every_method_answers_exactly_the_roles_that_it_names() {
    let node = Node::start();
    let mut wrong = Vec::new();
    for role in access::ROLES {
        let client = node.client(role).await;
        for (path, rule) in methods() {
            let code = call(&client, path, MetadataMap::new()).await;
            let refused = matches!(code, Code::PermissionDenied | Code::Unimplemented);
            if refused == rule.roles.iter().any(|name| name == role) {
                wrong.push(format!("{path} as {role}: {code:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_certificate_without_a_role_or_with_an_unknown_one_may_do_nothing() {
    let node = Node::start();
    for role in ["", "os:root", "os:admin ", "OS:ADMIN", "os:reader,os:admin", "system:masters"] {
        let client = node.client(role).await;
        for (path, _) in methods() {
            let code = call(&client, path, MetadataMap::new()).await;
            assert_eq!(code, Code::PermissionDenied, "{path} as {role:?}");
        }
    }
}

#[tokio::test]
async fn identity_that_a_client_claims_in_headers_is_worth_nothing() {
    let node = Node::start();
    let client = node.client(access::READER).await;
    let admin_only = "/corten.v1.ConfigService/Get";
    for header in ["corten-peer-roles", "corten-peer-name", "corten-peer-address", "corten-peer-roles-bin"] {
        let mut metadata = MetadataMap::new();
        if header.ends_with("-bin") {
            metadata
                .insert_bin("corten-peer-roles-bin", tonic::metadata::MetadataValue::from_bytes(b"os:admin"));
        } else {
            // Twice, so that removing only the first would show.
            metadata.append(header, "os:admin".parse().unwrap());
            metadata.append(header, "os:admin".parse().unwrap());
        }
        assert_eq!(call(&client, admin_only, metadata).await, Code::PermissionDenied, "{header}");
    }
    let admin = node.client(access::ADMIN).await;
    assert_ne!(call(&admin, admin_only, MetadataMap::new()).await, Code::PermissionDenied);
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unknown_even_to_an_administrator() {
    let node = Node::start();
    let client = node.client(access::ADMIN).await;
    for path in ["/corten.v1.MachineService/Nope", "/corten.v1.Nope/Version", "/nothing"] {
        assert_eq!(call(&client, path, MetadataMap::new()).await, Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn a_machine_in_maintenance_answers_strangers_only_what_a_new_machine_needs() {
    let node = Node::showing(Shows::Maintenance);
    let client = Client::connect_insecure(&node.address, None, options()).await.unwrap();
    for (path, rule) in methods() {
        let code = call(&client, path, MetadataMap::new()).await;
        let answered =
            !matches!(code, Code::PermissionDenied | Code::FailedPrecondition | Code::Unimplemented);
        assert_eq!(answered, rule.maintenance, "{path}: {code:?}");
    }
}
