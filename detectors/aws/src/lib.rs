//! A resource detector for AWS: EC2, ECS, EKS and Lambda.
//!
//! ```
//! use telemark_sdk::config::Env;
//! use telemark_sdk::resource::{DETECTION_TIMEOUT, detect};
//! use telemark_sdk::time::Deadline;
//!
//! let function = [("AWS_LAMBDA_FUNCTION_NAME", "orders"), ("AWS_REGION", "eu-north-1")];
//! let resource = detect(telemark_aws::DETECTORS, &Env::from_pairs(function), Deadline::after(DETECTION_TIMEOUT));
//! assert_eq!(resource.get("cloud.platform").unwrap().as_str(), "aws_lambda");
//! assert_eq!(resource.get("faas.name").unwrap().as_str(), "orders");
//! ```
//!
//! The first platform that the program is recognized on describes it. If the source of that platform does not respond, no other is asked:
//!
//! | platform | recognized by | source |
//! |---|---|---|
//! | Lambda | `AWS_LAMBDA_FUNCTION_NAME` | variables |
//! | ECS, also on Fargate | `ECS_CONTAINER_METADATA_URI_V4` | the task metadata endpoint, version 4 |
//! | EKS | the credentials that EKS gives to a pod | as for EC2, or variables if the pod cannot reach the instance |
//! | EC2 | the instance metadata service, version 2 | its identity document |
//!
//! Requests end at the deadline of all detectors. Elsewhere than on AWS, the detector finds nothing and reports nothing.
//! Version 1 of the instance metadata service is not used. The name of an EKS cluster is known to the cluster's API only, which needs TLS:
//! set `K8S_CLUSTER_NAME` for the detector `kubernetes`.
//!
//! # Environment variables
//! AWS sets the variables of the table, and `AWS_REGION`, `AWS_LAMBDA_FUNCTION_VERSION`, `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`,
//! `AWS_LAMBDA_LOG_GROUP_NAME`, `AWS_LAMBDA_LOG_STREAM_NAME`, `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_CONTAINER_CREDENTIALS_FULL_URI`. As in
//! AWS's own SDKs, `AWS_EC2_METADATA_DISABLED=true` disables requests to the instance metadata service, and
//! `AWS_EC2_METADATA_SERVICE_ENDPOINT` is its URL, such as `http://[fd00:ec2::254]`.

mod ec2;
mod ecs;
mod lambda;

use opentelemetry::{KeyValue, Value};
use serde_json::Value as Json;
use telemark_metadata::Service;
use telemark_sdk::config::Env;
use telemark_sdk::resource::{Detector, SCHEMA_URL};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, Resource};

/// The detector `aws`.
pub const DETECTORS: &[Detector] = &[Detector::for_network("aws", detect)];

fn detect(env: &Env, deadline: Deadline) -> Resource {
    let found = lambda::detect(env).or_else(|| match env.string(ecs::ENDPOINT) {
        // A task whose endpoint does not respond is still no instance.
        Some(url) => ecs::detect(env, &url, deadline),
        None => ec2::detect(env, deadline),
    });
    match found {
        Some(Found(attributes)) => Resource::with_schema_url(attributes, Some(SCHEMA_URL.to_owned())),
        None => Resource::empty(),
    }
}

/// Returns the service and the path of a URL, which a variable of this name contains, or reports that no request can be sent to it.
fn service<'u>(env: &Env, name: &'static str, url: &'u str) -> Option<(Service, &'u str)> {
    let service = Service::from_url(url);
    if service.is_none() {
        env.warn(ConfigError::invalid(name, url, "a URL with http:// and an IP address"));
    }
    service
}

/// The attributes of a platform.
struct Found(Vec<KeyValue>);

impl Found {
    fn on(platform: &'static str) -> Self {
        Found(vec![KeyValue::new("cloud.provider", "aws"), KeyValue::new("cloud.platform", platform)])
    }

    fn add(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| KeyValue::new(key, value)));
    }

    /// Adds a list with one member.
    fn add_list(&mut self, key: &'static str, value: Option<String>) {
        self.add(key, value.map(|value| Value::Array(vec![opentelemetry::StringValue::from(value)].into())));
    }
}

/// Returns a member of a document, if it is a short text.
fn text(document: &Json, key: &str) -> Option<String> {
    const MAX: usize = 1024;
    let text = document.get(key)?.as_str()?.trim();
    ((1..=MAX).contains(&text.len()) && !text.contains(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use telemark_metadata::testing::{Reply, Server};

    /// Runs the detector, and compares the attributes with `expected`.
    #[track_caller]
    pub(crate) fn check(variables: &[(&str, &str)], expected: &str) {
        let env = Env::from_pairs(variables.iter().copied());
        let resource = detect(&env, Deadline::after(Duration::from_secs(60)));
        let text: Vec<_> = resource.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        assert_eq!(text.join(" "), expected);
        assert_eq!(resource.schema_url().is_some(), !expected.is_empty());
        assert!(env.take_warnings().is_empty());
    }

    #[test]
    fn elsewhere_nothing_is_found() {
        check(&[("AWS_EC2_METADATA_DISABLED", "true")], "");
        let elsewhere = Server::start(|_| Reply::not_found());
        check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{}", elsewhere.address()))], "");
        for reply in [
            Reply::Raw(Vec::new()),
            Reply::Raw(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n".to_vec()),
            Reply::Raw(b"\x00\xff\xfe binary".to_vec()),
            Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
            Reply::text("<html>a portal</html>"),
            Reply::text("{}"),
            Reply::text("{\"instanceId\": 7, \"accountId\": [1], \"region\": \"a\\nb\"}"),
            Reply::text(&"[".repeat(60_000)),
        ] {
            let liar = Server::start(move |_| reply.clone());
            let url = format!("http://{}", liar.address());
            check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)], "");
            check(
                &[("ECS_CONTAINER_METADATA_URI_V4", &format!("{url}/v4/1")), ("AWS_EC2_METADATA_DISABLED", "true")],
                "",
            );
        }
    }

    #[test]
    fn a_task_is_not_described_as_its_instance() {
        let server = Server::start(|request| match request.split(' ').nth(1) {
            Some("/latest/api/token") => Reply::text("AQ=="),
            Some("/latest/dynamic/instance-identity/document") => Reply::text(r#"{"instanceId": "i-0abc"}"#),
            _ => Reply::not_found(),
        });
        let url = format!("http://{}", server.address());
        let instance = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url);
        check(&[instance], "cloud.platform=aws_ec2 cloud.provider=aws host.id=i-0abc");
        check(&[("ECS_CONTAINER_METADATA_URI_V4", &format!("{url}/v4/1")), instance], "");
    }

    #[test]
    fn addresses_that_cannot_be_used_are_reported() {
        for name in ["ECS_CONTAINER_METADATA_URI_V4", "AWS_EC2_METADATA_SERVICE_ENDPOINT"] {
            let env = Env::from_pairs([(name, "http://example.com/v4")]);
            assert!(detect(&env, Deadline::NEVER).is_empty());
            let warnings: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
            let expected = "cannot be used: expected a URL with http:// and an IP address";
            assert_eq!(warnings, [format!(r#"{name}="http://example.com/v4" {expected}"#)]);
        }
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let silent = Server::start(|_| Reply::Silence);
        let env = Env::from_pairs([("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{}", silent.address()))]);
        let deadline = Deadline::after(Duration::from_millis(50));
        assert!(detect(&env, deadline).is_empty());
        assert!(deadline.has_passed());
    }
}
