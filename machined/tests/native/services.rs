//! What the API says about itself, and how it treats what no proper client sends.

use corten_api::v1;
use corten_client::Client;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::node::{Node, version};

#[tokio::test]
async fn health_is_serving_until_the_machine_goes_down() {
    let node = Node::start();
    let client = node.client("os:admin").await;
    let mut health = HealthClient::new(client.channel());
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    client.machine().shutdown(v1::ShutdownRequest::default()).await.unwrap();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
}

async fn reflect(client: &Client, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut reflection = ServerReflectionClient::new(client.channel());
    let answers = reflection.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
    answers.into_inner().next().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_lists_every_service_of_the_api_and_describes_it() {
    let node = Node::start();
    let client = node.client("os:reader").await;
    let listed = reflect(&client, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = listed else { panic!("{listed:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for path in corten_api::access::table().keys().filter(|path| path.starts_with("/corten")) {
        let service = path.trim_start_matches('/').split('/').next().unwrap();
        assert!(names.iter().any(|name| name == service), "{service} in {names:?}");
    }
    let question = MessageRequest::FileContainingSymbol("corten.v1.MachineService".to_owned());
    let described = reflect(&client, question).await;
    let MessageResponse::FileDescriptorResponse(file) = described else { panic!("{described:?}") };
    assert!(!file.file_descriptor_proto.is_empty());
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_connection_lives_on() {
    let node = Node::start();
    let client = node.client("os:admin").await;
    let request = v1::ValidateConfigRequest { config: "#".repeat(5 << 20), ..Default::default() };
    let status = client.config().validate(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    version(&client).await.unwrap();
}

#[tokio::test]
async fn many_callers_at_once_are_all_answered() {
    let node = Node::start();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = node.client("os:reader").await;
        for _ in 0..64 {
            let client = client.clone();
            calls.spawn(async move { version(&client).await.map(|_| ()) });
        }
    }
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_name_with_any_characters_reaches_machined_whole() {
    let node = Node::start();
    let request = crate::node::request("Zoë, \"root\" 100%", "os:operator", corten_pki::Usage::Client);
    let leaf = node.ca.issue(&request).unwrap();
    let context = node.context_of(&leaf, &node.ca.cert_pem);
    let client = Client::connect(&context, &node.address, crate::node::options()).await.unwrap();
    let status = client.config().get(v1::GetConfigRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("Zo"), "{}", status.message());
}
