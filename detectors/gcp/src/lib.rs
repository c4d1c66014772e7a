//! A resource detector for Google Cloud: Compute Engine, Kubernetes Engine, Cloud Run, Cloud Functions and App Engine.
//!
//! ```no_run
//! use telemark_sdk::config::Env;
//! use telemark_sdk::resource::{DETECTION_TIMEOUT, detect};
//! use telemark_sdk::time::Deadline;
//!
//! let resource = detect(telemark_gcp::DETECTORS, &Env::process(), Deadline::after(DETECTION_TIMEOUT));
//! # drop(resource);
//! ```
//!
//! Everywhere on Google Cloud there is a metadata service, which knows the project and the place. Variables tell the platform,
//! of which the first in this table describes the program:
//!
//! | platform | recognized by | attributes beside `cloud.*` |
//! |---|---|---|
//! | Kubernetes Engine | `KUBERNETES_SERVICE_HOST`, and the name of the cluster | `k8s.cluster.name`, `host.id` |
//! | Cloud Functions | `FUNCTION_TARGET` and `K_SERVICE` | `faas.name`, `faas.version`, `faas.instance` |
//! | Cloud Run, services | `K_SERVICE` | `faas.name`, `faas.version`, `faas.instance` |
//! | Cloud Run, jobs | `CLOUD_RUN_JOB` | `faas.name`, `faas.instance`, `gcp.cloud_run.job.*` |
//! | App Engine | `GAE_SERVICE` | `faas.name`, `faas.version`, `faas.instance` |
//! | Compute Engine | all else | `host.id`, `host.name`, `host.type`, `gcp.gce.instance.*` |
//!
//! Requests end at the deadline of all detectors. Elsewhere than on Google Cloud, the detector finds nothing and reports nothing.
//!
//! # Environment variables
//! Google Cloud sets the variables of the table, and `K_REVISION`, `CLOUD_RUN_EXECUTION`, `CLOUD_RUN_TASK_INDEX`, `GAE_VERSION` and
//! `GAE_INSTANCE`. As in Google's own libraries, `GCE_METADATA_HOST` is another address of the metadata service.
//! A name other than `metadata.google.internal` is reported, because names are not resolved.

mod metadata;

use metadata::Metadata;
use opentelemetry::{KeyValue, Value};
use telemark_sdk::Resource;
use telemark_sdk::config::Env;
use telemark_sdk::resource::{Detector, SCHEMA_URL};
use telemark_sdk::time::Deadline;

/// The detector `gcp`.
pub const DETECTORS: &[Detector] = &[Detector::for_network("gcp", detect)];

/// spec: semconv resource/cloud.md, resource/cloud-provider/gcp
fn detect(env: &Env, deadline: Deadline) -> Resource {
    let Some(metadata) = Metadata::find(env, deadline) else { return Resource::empty() };
    let mut found = Found(vec![KeyValue::new("cloud.provider", "gcp")]);
    found.add("cloud.account.id", Some(metadata.project().to_owned()));
    let variable = |name| env.string(name);
    // Before the variables of Cloud Run, which Knative sets in any cluster.
    if let Some(cluster) = variable("KUBERNETES_SERVICE_HOST").and_then(|_| metadata.attribute("cluster-name")) {
        // A cluster is in a region or in a zone, whose name has another part.
        let location = metadata.attribute("cluster-location").unwrap_or_default();
        let (region, zone) = match location.matches('-').count() {
            0 => (metadata.region(), metadata.zone()),
            1 => (Some(location), metadata.zone()),
            _ => (metadata::region_of(&location), Some(location)),
        };
        found.place("gcp_kubernetes_engine", region, zone);
        found.add("k8s.cluster.name", Some(cluster));
        found.add("host.id", metadata.instance("id"));
    } else if let Some(service) = variable("K_SERVICE") {
        let is_function = variable("FUNCTION_TARGET").is_some();
        found.place(if is_function { "gcp_cloud_functions" } else { "gcp_cloud_run" }, metadata.region(), None);
        found.function(service, variable("K_REVISION"), metadata.instance("id"));
    } else if let Some(job) = variable("CLOUD_RUN_JOB") {
        found.place("gcp_cloud_run", metadata.region(), None);
        found.function(job, None, metadata.instance("id"));
        found.add("gcp.cloud_run.job.execution", variable("CLOUD_RUN_EXECUTION"));
        let index = variable("CLOUD_RUN_TASK_INDEX").and_then(|index| index.parse::<i64>().ok());
        found.add("gcp.cloud_run.job.task_index", index);
    } else if let Some(service) = variable("GAE_SERVICE") {
        found.place("gcp_app_engine", metadata.region(), metadata.zone());
        found.function(service, variable("GAE_VERSION"), variable("GAE_INSTANCE"));
    } else {
        found.place("gcp_compute_engine", metadata.region(), metadata.zone());
        found.add("host.id", metadata.instance("id"));
        let name = metadata.instance("name");
        found.add("host.name", name.clone());
        found.add("host.type", metadata.machine_type());
        found.add("gcp.gce.instance.name", name);
        found.add("gcp.gce.instance.hostname", metadata.instance("hostname"));
    }
    Resource::with_schema_url(found.0, Some(SCHEMA_URL.to_owned()))
}

struct Found(Vec<KeyValue>);

impl Found {
    fn add(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| KeyValue::new(key, value)));
    }

    fn place(&mut self, platform: &'static str, region: Option<String>, zone: Option<String>) {
        self.add("cloud.platform", Some(platform));
        self.add("cloud.region", region);
        self.add("cloud.availability_zone", zone);
    }

    fn function(&mut self, name: String, version: Option<String>, instance: Option<String>) {
        self.add("faas.name", Some(name));
        self.add("faas.version", version);
        self.add("faas.instance", instance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use telemark_metadata::testing::{Reply, Server};

    const GOOGLE: &str = "metadata-flavor: Google";

    /// Runs the detector against this server, and compares the attributes with `expected`.
    #[track_caller]
    fn check_against(server: &Server, variables: &[(&str, &str)], expected: &str) {
        let host = server.address().to_string();
        let env = Env::from_pairs([variables, &[("GCE_METADATA_HOST", &host)]].concat());
        let resource = detect(&env, Deadline::after(Duration::from_secs(60)));
        let text: Vec<_> = resource.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        assert_eq!(text.join(" "), expected);
        assert_eq!(resource.schema_url().is_some(), !expected.is_empty());
    }

    /// Runs the detector against Google Cloud in `europe-north1`.
    #[track_caller]
    fn check(variables: &[(&str, &str)], cluster: &'static str, expected: &str) {
        let server = Server::start(move |request| {
            let path = request
                .strip_prefix("GET /computeMetadata/v1/")
                .and_then(|rest| rest.strip_suffix(" metadata-flavor=Google"));
            let text = match path {
                Some("project/project-id") => "shop-1",
                Some("instance/zone") => "projects/123/zones/europe-north1-a",
                Some("instance/id") => "5678",
                Some("instance/name") => "vm-1",
                Some("instance/hostname") => "vm-1.c.shop-1.internal",
                Some("instance/machine-type") => "projects/123/machineTypes/e2-small",
                Some("instance/attributes/cluster-name") if !cluster.is_empty() => "main",
                Some("instance/attributes/cluster-location") if !cluster.is_empty() => cluster,
                _ => return Reply::not_found(),
            };
            Reply::with_header(GOOGLE, text)
        });
        check_against(&server, variables, expected);
    }

    const INSTANCE: &str = "cloud.account.id=shop-1 cloud.availability_zone=europe-north1-a \
        cloud.platform=gcp_compute_engine cloud.provider=gcp cloud.region=europe-north1 \
        gcp.gce.instance.hostname=vm-1.c.shop-1.internal gcp.gce.instance.name=vm-1 host.id=5678 host.name=vm-1 \
        host.type=e2-small";

    #[test]
    fn compute_engine() {
        check(&[], "", INSTANCE);
    }

    #[test]
    fn kubernetes_engine() {
        let pod = [("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
        let expected = "cloud.account.id=shop-1 cloud.availability_zone=europe-north1-a \
            cloud.platform=gcp_kubernetes_engine cloud.provider=gcp cloud.region=europe-north1 host.id=5678 \
            k8s.cluster.name=main";
        check(&pod, "europe-north1", expected);
        check(&pod, "europe-north1-b", &expected.replace("north1-a", "north1-b"));
        // Kubernetes on instances.
        check(&pod, "", INSTANCE);
        // Knative in the cluster.
        let knative = [("K_SERVICE", "orders"), ("K_REVISION", "orders-3")];
        check(&[&pod[..], &knative].concat(), "europe-north1", expected);
    }

    #[test]
    fn functions_and_services() {
        let cloud = |platform: &str| {
            format!("cloud.account.id=shop-1 cloud.platform={platform} cloud.provider=gcp cloud.region=europe-north1")
        };
        let service = [("K_SERVICE", "orders"), ("K_REVISION", "orders-3")];
        let function = "faas.instance=5678 faas.name=orders faas.version=orders-3";
        check(&service, "", &format!("{} {function}", cloud("gcp_cloud_run")));
        let target = [&service[..], &[("FUNCTION_TARGET", "main")]].concat();
        check(&target, "", &format!("{} {function}", cloud("gcp_cloud_functions")));
        let job = [("CLOUD_RUN_JOB", "night"), ("CLOUD_RUN_EXECUTION", "night-x"), ("CLOUD_RUN_TASK_INDEX", "2")];
        let run =
            "faas.instance=5678 faas.name=night gcp.cloud_run.job.execution=night-x gcp.cloud_run.job.task_index=2";
        check(&job, "", &format!("{} {run}", cloud("gcp_cloud_run")));
        let app = [("GAE_SERVICE", "web"), ("GAE_VERSION", "4"), ("GAE_INSTANCE", "i")];
        let zone = "cloud.availability_zone=europe-north1-a cloud.platform=";
        let expected = cloud("gcp_app_engine").replace("cloud.platform=", zone);
        check(&app, "", &format!("{expected} faas.instance=i faas.name=web faas.version=4"));
    }

    #[test]
    fn what_is_not_google_is_nothing() {
        for reply in [
            Reply::not_found(),
            Reply::text("shop-1"),
            Reply::with_header(GOOGLE, "two\nlines"),
            Reply::with_header(GOOGLE, ""),
            Reply::Raw(
                b"HTTP/1.1 301 Moved\r\nmetadata-flavor: Google\r\nlocation: http://127.0.0.1/\r\n\r\n".to_vec(),
            ),
            Reply::Raw(b"\x00\xff\xfe binary".to_vec()),
            Reply::Endless(b"HTTP/1.1 200 OK\r\nmetadata-flavor: Google\r\n\r\n", b"x"),
        ] {
            let server = Server::start(move |_| reply.clone());
            check_against(&server, &[("K_SERVICE", "orders")], "");
        }
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let silent = Server::start(|_| Reply::Silence);
        let env = Env::from_pairs([("GCE_METADATA_HOST", silent.address().to_string())]);
        let deadline = Deadline::after(Duration::from_millis(50));
        assert!(detect(&env, deadline).is_empty());
        assert!(deadline.has_passed());
    }
}
