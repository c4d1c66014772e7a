//! Amazon EC2 and EKS: an instance, described by the instance metadata service of version 2.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value as Json;
use telemark_metadata::Service;
use telemark_sdk::config::Env;
use telemark_sdk::time::Deadline;

use crate::{Found, service, text};

const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

/// spec: semconv resource/cloud.md, host.md
pub(crate) fn detect(env: &Env, deadline: Deadline) -> Option<Found> {
    let is_pod = is_pod_of_eks(env);
    let platform = if is_pod { "aws_eks" } else { "aws_ec2" };
    match instance(env, deadline) {
        Some(instance) => Some(described(platform, &instance)),
        // The instance may refuse requests from its pods.
        None if is_pod => {
            let mut found = Found::on(platform);
            found.add("cloud.region", env.string("AWS_REGION"));
            Some(found)
        }
        None => None,
    }
}

/// Returns true in a pod that has credentials from EKS: from an IAM role of its service account, or from EKS Pod Identity.
fn is_pod_of_eks(env: &Env) -> bool {
    let contains = |name: &str, part: &str| env.string(name).is_some_and(|value| value.contains(part));
    contains("AWS_WEB_IDENTITY_TOKEN_FILE", "/eks.amazonaws.com/")
        || contains("AWS_CONTAINER_CREDENTIALS_FULL_URI", "//169.254.170.23/")
        || contains("AWS_CONTAINER_CREDENTIALS_FULL_URI", "//[fd00:ec2::23]/")
}

struct Instance {
    document: Json,
    host_name: Option<String>,
}

fn instance(env: &Env, deadline: Deadline) -> Option<Instance> {
    if env.string("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let service = match env.string(ENDPOINT) {
        Some(url) => service(env, ENDPOINT, &url)?.0,
        None => Service::at(ADDRESS),
    };
    let token =
        service.put("/latest/api/token", &[("x-aws-ec2-metadata-token-ttl-seconds", "60")], deadline)?.line()?;
    let get = |path: &str| service.get(path, &[("x-aws-ec2-metadata-token", &token)], deadline);
    let document: Json = serde_json::from_str(get("/latest/dynamic/instance-identity/document")?.text()).ok()?;
    text(&document, "instanceId")?;
    let host_name = get("/latest/meta-data/hostname").and_then(|response| response.line());
    Some(Instance { document, host_name })
}

fn described(platform: &'static str, instance: &Instance) -> Found {
    let mut found = Found::on(platform);
    for (key, name) in [
        ("cloud.account.id", "accountId"),
        ("cloud.region", "region"),
        ("cloud.availability_zone", "availabilityZone"),
        ("host.id", "instanceId"),
        ("host.type", "instanceType"),
        ("host.image.id", "imageId"),
    ] {
        found.add(key, text(&instance.document, name));
    }
    found.add("host.name", instance.host_name.clone());
    found
}

#[cfg(test)]
mod tests {
    use crate::tests::check;
    use telemark_metadata::testing::{Reply, Server};

    const DOCUMENT: &str = r#"{
        "accountId": "111122223333", "architecture": "arm64", "availabilityZone": "eu-north-1b", "imageId": "ami-1",
        "instanceId": "i-0abc", "instanceType": "m7g.large", "privateIp": "10.0.0.1", "region": "eu-north-1", "version": "2017-09-30"
    }"#;
    const INSTANCE: &str = "cloud.account.id=111122223333 cloud.availability_zone=eu-north-1b cloud.platform=aws_ec2 \
        cloud.provider=aws cloud.region=eu-north-1 host.id=i-0abc host.image.id=ami-1 host.name=ip-10-0-0-1 \
        host.type=m7g.large";
    const DISABLED: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

    /// The service of an instance, which requires the token.
    fn service() -> (Server, String) {
        let server = Server::start(|request| match request {
            "PUT /latest/api/token content-length=0 x-aws-ec2-metadata-token-ttl-seconds=60" => Reply::text("AQ=="),
            "GET /latest/dynamic/instance-identity/document x-aws-ec2-metadata-token=AQ==" => Reply::text(DOCUMENT),
            "GET /latest/meta-data/hostname x-aws-ec2-metadata-token=AQ==" => Reply::text("ip-10-0-0-1"),
            _ => Reply::Raw(b"HTTP/1.1 401 Unauthorized\r\n\r\n".to_vec()),
        });
        let url = format!("http://{}", server.address());
        (server, url)
    }

    #[test]
    fn an_instance() {
        let (_server, url) = service();
        check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)], INSTANCE);
        check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url), DISABLED], "");
    }

    #[test]
    fn a_pod() {
        let (_server, url) = service();
        let roles = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token");
        let identity = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
        for credentials in [roles, identity] {
            let endpoint = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url);
            check(&[endpoint, credentials], &INSTANCE.replace("aws_ec2", "aws_eks"));
            let alone = "cloud.platform=aws_eks cloud.provider=aws cloud.region=eu-north-1";
            check(&[credentials, DISABLED, ("AWS_REGION", "eu-north-1")], alone);
        }
        check(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), DISABLED], "");
    }
}
