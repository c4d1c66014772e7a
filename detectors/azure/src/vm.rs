//! Virtual machines, described by Azure's instance metadata service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use telemark_metadata::Service;
use telemark_sdk::time::Deadline;

use crate::Found;

pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

pub(crate) fn detect(service: &Service, deadline: Deadline) -> Option<Found> {
    let get = |name: &str| {
        // Single values need no parser of JSON.
        let path = format!("/metadata/instance/compute/{name}?api-version=2021-02-01&format=text");
        service.get(&path, &[("metadata", "true")], deadline)?.line()
    };
    // Others at this address do not know the id of a resource, which is a path.
    let id = get("resourceId").filter(|id| id.starts_with("/subscriptions/"))?;
    let mut found = Found::on("azure.vm");
    found.add("cloud.resource_id", Some(id));
    for (key, name) in [
        ("cloud.account.id", "subscriptionId"),
        ("cloud.region", "location"),
        ("cloud.availability_zone", "zone"),
        ("host.id", "vmId"),
        ("host.name", "name"),
        ("host.type", "vmSize"),
    ] {
        found.add(key, get(name));
    }
    Some(found)
}
