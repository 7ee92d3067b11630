//! `grpc.health.v1`: serving while the machine is up, not serving once it goes down.

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::node::Node;

/// Keeps the status of the whole server true.
pub(super) async fn report(node: Node, reporter: HealthReporter) {
    reporter.set_service_status("", ServingStatus::Serving).await;
    node.power.wait().await;
    reporter.set_service_status("", ServingStatus::NotServing).await;
}
