//! Google Cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use telemark_metadata::Service;
use telemark_sdk::config::Env;
use telemark_sdk::time::Deadline;

/// The address of `metadata.google.internal`, which never changes.
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
        let service = match env.string("GCE_METADATA_HOST") {
            Some(host) => Service::from_authority(&host)?,
            None => Service::at(ADDRESS).with_host("metadata.google.internal"),
        };
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
