//! Checks a config as `Apply` would, and changes nothing.

use corten_api::v1::{ValidateConfigRequest, ValidateConfigResponse};
use corten_config::{Config, Source};
use tonic::{Request, Response, Status};

use super::to_proto;

pub(super) fn validate(
    request: Request<ValidateConfigRequest>,
) -> Result<Response<ValidateConfigResponse>, Status> {
    let request = request.into_inner();
    let answer = match Config::parse(&request.config, &Source::new(&request.name)) {
        Ok(config) => {
            let warnings = config.warnings().iter().map(to_proto::problem).collect();
            ValidateConfigResponse { errors: Vec::new(), warnings }
        }
        Err(problems) => {
            let errors = problems.errors().map(to_proto::problem).collect();
            ValidateConfigResponse { errors, warnings: problems.warnings().map(to_proto::problem).collect() }
        }
    };
    Ok(Response::new(answer))
}
