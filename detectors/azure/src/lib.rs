//! A resource detector for Azure: virtual machines, App Service, Functions and Container Apps.
//!
//! ```
//! use telemark_sdk::config::Env;
//! use telemark_sdk::resource::{DETECTION_TIMEOUT, detect};
//! use telemark_sdk::time::Deadline;
//!
//! let site = [("WEBSITE_SITE_NAME", "shop"), ("REGION_NAME", "North Europe")];
//! let resource = detect(telemark_azure::DETECTORS, &Env::from_pairs(site), Deadline::after(DETECTION_TIMEOUT));
//! assert_eq!(resource.get("cloud.platform").unwrap().as_str(), "azure.app_service");
//! ```
//!
//! The first platform that the program finds itself on describes it:
//!
//! | platform | recognized by | attributes beside `cloud.*` |
//! |---|---|---|
//! | Functions | `FUNCTIONS_EXTENSION_VERSION` and `WEBSITE_SITE_NAME` | `faas.name`, `faas.version`, `faas.instance` |
//! | App Service | `WEBSITE_SITE_NAME` | `service.instance.id`, `host.id`, `deployment.environment.name` |
//! | Container Apps | `CONTAINER_APP_NAME` | `service.instance.id`, `service.version` |
//! | virtual machines, also of AKS | the instance metadata service | `host.id`, `host.name`, `host.type` |
//!
//! Requests end at the deadline of all detectors. Elsewhere than on Azure, the detector finds nothing and reports nothing.
//!
//! # Environment variables
//! Azure sets the variables of the table, and `REGION_NAME`, `WEBSITE_INSTANCE_ID`, `WEBSITE_HOSTNAME`, `WEBSITE_SLOT_NAME`,
//! `WEBSITE_OWNER_NAME`, `WEBSITE_RESOURCE_GROUP`, `CONTAINER_APP_REVISION` and `CONTAINER_APP_REPLICA_NAME`.

mod vm;

use opentelemetry::{KeyValue, Value};
use telemark_metadata::Service;
use telemark_sdk::Resource;
use telemark_sdk::config::Env;
use telemark_sdk::resource::{Detector, SCHEMA_URL};
use telemark_sdk::time::Deadline;

/// The detector `azure`.
pub const DETECTORS: &[Detector] =
    &[Detector::for_network("azure", |env, deadline| detect(env, &Service::at(vm::ADDRESS), deadline))];

/// spec: semconv resource/cloud.md, resource/faas.md
fn detect(env: &Env, service: &Service, deadline: Deadline) -> Resource {
    let found = of_site(env).or_else(|| of_container_app(env)).or_else(|| vm::detect(service, deadline));
    match found {
        Some(Found(attributes)) => Resource::with_schema_url(attributes, Some(SCHEMA_URL.to_owned())),
        None => Resource::empty(),
    }
}

/// App Service, and Functions, which run on it.
fn of_site(env: &Env) -> Option<Found> {
    let name = env.string("WEBSITE_SITE_NAME")?;
    let version = env.string("FUNCTIONS_EXTENSION_VERSION");
    let mut found = Found::on(if version.is_some() { "azure.functions" } else { "azure.app_service" });
    let instance = env.string("WEBSITE_INSTANCE_ID");
    // The variable is `subscription+group-region`.
    let subscription =
        env.string("WEBSITE_OWNER_NAME").map(|owner| owner.split('+').next().unwrap_or_default().to_owned());
    let group = env.string("WEBSITE_RESOURCE_GROUP");
    let id = subscription.as_ref().zip(group.as_ref()).map(|(subscription, group)| {
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{name}")
    });
    found.add("cloud.resource_id", id);
    found.add("cloud.account.id", subscription);
    found.add("cloud.region", env.string("REGION_NAME"));
    match version {
        Some(version) => {
            found.add("faas.name", Some(name));
            found.add("faas.version", Some(version));
            found.add("faas.instance", instance);
        }
        None => {
            found.add("service.instance.id", instance);
            found.add("host.id", env.string("WEBSITE_HOSTNAME"));
            found.add("deployment.environment.name", env.string("WEBSITE_SLOT_NAME"));
        }
    }
    Some(found)
}

fn of_container_app(env: &Env) -> Option<Found> {
    env.string("CONTAINER_APP_NAME")?;
    let mut found = Found::on("azure.container_apps");
    found.add("service.instance.id", env.string("CONTAINER_APP_REPLICA_NAME"));
    found.add("service.version", env.string("CONTAINER_APP_REVISION"));
    Some(found)
}

/// The attributes of a platform.
struct Found(Vec<KeyValue>);

impl Found {
    fn on(platform: &'static str) -> Self {
        Found(vec![KeyValue::new("cloud.provider", "azure"), KeyValue::new("cloud.platform", platform)])
    }

    fn add(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| KeyValue::new(key, value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use telemark_metadata::testing::{Reply, Server};

    /// Runs the detector against this server, and compares the attributes with `expected`.
    #[track_caller]
    fn check(server: &Server, variables: &[(&str, &str)], expected: &str) {
        let env = Env::from_pairs(variables.iter().copied());
        let resource = detect(&env, &server.service(), Deadline::after(Duration::from_secs(60)));
        let text: Vec<_> = resource.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        assert_eq!(text.join(" "), expected);
        assert_eq!(resource.schema_url().is_some(), !expected.is_empty());
    }

    #[test]
    fn sites_functions_and_container_apps() {
        let nobody = Server::start(|_| Reply::not_found());
        let site = [
            ("WEBSITE_SITE_NAME", "shop"),
            ("REGION_NAME", "North Europe"),
            ("WEBSITE_INSTANCE_ID", "i1"),
            ("WEBSITE_HOSTNAME", "shop.azurewebsites.net"),
            ("WEBSITE_SLOT_NAME", "Production"),
            ("WEBSITE_OWNER_NAME", "sub-1+group-NorthEuropewebspace"),
            ("WEBSITE_RESOURCE_GROUP", "group"),
        ];
        let cloud = |platform: &str| {
            format!(
                "cloud.account.id=sub-1 cloud.platform={platform} cloud.provider=azure cloud.region=North Europe \
                 cloud.resource_id=/subscriptions/sub-1/resourceGroups/group/providers/Microsoft.Web/sites/shop"
            )
        };
        let rest = "deployment.environment.name=Production host.id=shop.azurewebsites.net service.instance.id=i1";
        check(&nobody, &site, &format!("{} {rest}", cloud("azure.app_service")));
        let function = [&site[..], &[("FUNCTIONS_EXTENSION_VERSION", "~4")]].concat();
        let rest = "faas.instance=i1 faas.name=shop faas.version=~4";
        check(&nobody, &function, &format!("{} {rest}", cloud("azure.functions")));
        let app =
            [("CONTAINER_APP_NAME", "shop"), ("CONTAINER_APP_REPLICA_NAME", "r"), ("CONTAINER_APP_REVISION", "2")];
        let expected =
            "cloud.platform=azure.container_apps cloud.provider=azure service.instance.id=r service.version=2";
        check(&nobody, &app, expected);
        check(&nobody, &[], "");
    }

    #[test]
    fn a_virtual_machine() {
        let server = Server::start(|request| {
            let rest = request.strip_prefix("GET /metadata/instance/compute/");
            let name = rest.and_then(|rest| rest.strip_suffix("?api-version=2021-02-01&format=text metadata=true"));
            match name {
                Some("vmId") => Reply::text("02aab8a4"),
                Some("location") => Reply::text("northeurope"),
                Some("resourceId") => Reply::text("/subscriptions/sub-1/resourceGroups/g/virtualMachines/vm-1"),
                Some("subscriptionId") => Reply::text("sub-1"),
                Some("name") => Reply::text("vm-1"),
                Some("vmSize") => Reply::text("Standard_D2s_v5"),
                Some("zone") => Reply::text(""),
                _ => Reply::not_found(),
            }
        });
        check(
            &server,
            &[],
            "cloud.account.id=sub-1 cloud.platform=azure.vm cloud.provider=azure cloud.region=northeurope \
             cloud.resource_id=/subscriptions/sub-1/resourceGroups/g/virtualMachines/vm-1 host.id=02aab8a4 host.name=vm-1 \
             host.type=Standard_D2s_v5",
        );
    }

    #[test]
    fn what_is_not_azure_is_nothing() {
        for reply in [
            Reply::text("<html>\na portal\n</html>"),
            Reply::text("a portal"),
            Reply::Raw(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n".to_vec()),
            Reply::Raw(b"\x00\xff\xfe binary".to_vec()),
            Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        ] {
            check(&Server::start(move |_| reply.clone()), &[], "");
        }
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let silent = Server::start(|_| Reply::Silence);
        let deadline = Deadline::after(Duration::from_millis(50));
        assert!(detect(&Env::from_pairs([("", "")]), &silent.service(), deadline).is_empty());
        assert!(deadline.has_passed());
    }
}
