//! Google Cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use telemark_metadata::Service;
use telemark_sdk::ConfigError;
use telemark_sdk::config::Env;
use telemark_sdk::time::Deadline;

const HOST: &str = "GCE_METADATA_HOST";
const NAME: &str = "metadata.google.internal";
/// The address of this name, which never changes.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);
const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

pub(crate) struct Metadata {
    service: Service,
    deadline: Deadline,
    project: String,
    zone: Option<String>,
}

impl Metadata {
    /// Asks for the project. Returns `None` if no service of Google responds.
    pub(crate) fn find(env: &Env, deadline: Deadline) -> Option<Self> {
        let service = service(env)?;
        let project = value(&service, "project/project-id", deadline)?;
        let zone = value(&service, "instance/zone", deadline).map(last);
        Some(Metadata { service, deadline, project, zone })
    }

    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    pub(crate) fn zone(&self) -> Option<String> {
        self.zone.clone()
    }

    /// Returns the region of the zone. Cloud Run has a zone for each region, such as `europe-north1-1`.
    pub(crate) fn region(&self) -> Option<String> {
        region_of(self.zone.as_deref()?)
    }

    pub(crate) fn instance(&self, name: &str) -> Option<String> {
        value(&self.service, &format!("instance/{name}"), self.deadline)
    }

    pub(crate) fn machine_type(&self) -> Option<String> {
        self.instance("machine-type").map(last)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.instance(&format!("attributes/{name}"))
    }
}

/// Returns the service that the environment names, or reports that it cannot be used.
fn service(env: &Env) -> Option<Service> {
    let usual = Service::at(ADDRESS).with_host(NAME);
    let Some(host) = env.string(HOST) else { return Some(usual) };
    let name = host.strip_suffix(":80").unwrap_or(&host);
    if name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(NAME) {
        return Some(usual);
    }
    let service = Service::from_authority(&host);
    if service.is_none() {
        env.warn(ConfigError::invalid(HOST, host, format!("an IP address with or without a port, or {NAME}")));
    }
    service
}

/// Returns the region of a zone: `europe-north1` for `europe-north1-a`.
pub(crate) fn region_of(zone: &str) -> Option<String> {
    zone.rsplit_once('-').map(|(region, _)| region.to_owned())
}

fn value(service: &Service, name: &str, deadline: Deadline) -> Option<String> {
    let response = service.get(&format!("/computeMetadata/v1/{name}"), &[FLAVOR], deadline)?;
    // Every response of the service has this header, and others at its address do not.
    (response.header(FLAVOR.0)? == FLAVOR.1).then(|| response.line())?
}

/// Returns the last part of a path, such as `projects/1/zones/europe-north1-a`.
fn last(path: String) -> String {
    path.rsplit_once('/').map(|(_, last)| last.to_owned()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_usual_name_needs_no_resolver() {
        let check = |host: &str, expected: Option<&Service>, warnings: &[&str]| {
            let env = Env::from_pairs([(HOST, host)]);
            assert_eq!(service(&env).as_ref(), expected, "{host}");
            assert_eq!(env.take_warnings().iter().map(ToString::to_string).collect::<Vec<_>>(), warnings);
        };
        let usual = Service::at(ADDRESS).with_host(NAME);
        for host in ["", "metadata.google.internal", "Metadata.Google.Internal.", "metadata.google.internal:80"] {
            check(host, Some(&usual), &[]);
        }
        check("127.0.0.1:81", Some(&Service::at(([127, 0, 0, 1], 81).into())), &[]);
        let accepted = "cannot be used: expected an IP address with or without a port, or metadata.google.internal";
        check("example.com", None, &[&format!(r#"GCE_METADATA_HOST="example.com" {accepted}"#)]);
    }
}
