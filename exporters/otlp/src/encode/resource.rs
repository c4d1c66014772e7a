//! The encoded resource, written once because it is the same for every batch.

use telemark_sdk::Resource;

use super::{json, wire};

/// The last encoded resource. An exporter uses only one encoding.
#[derive(Debug, Default)]
pub(super) struct ResourceCache {
    resource: Option<Resource>,
    bytes: Vec<u8>,
}

impl ResourceCache {
    /// Returns the `resource` field as protobuf.
    pub(super) fn protobuf(&mut self, resource: &Resource) -> &[u8] {
        self.encode(resource, |out| {
            wire::write_message(out, wire::with_length(1), 2, |out| {
                for attribute in resource.iter() {
                    wire::write_attribute(out, wire::with_length(1), attribute);
                }
            });
        })
    }

    /// Returns the resource as a JSON object.
    pub(super) fn json(&mut self, resource: &Resource) -> &[u8] {
        self.encode(resource, |out| {
            out.push(b'{');
            json::attributes(out, resource.iter());
            out.push(b'}');
        })
    }

    fn encode(&mut self, resource: &Resource, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        if !self.resource.as_ref().is_some_and(|cached| cached.is_same(resource)) {
            self.resource = Some(resource.clone());
            self.bytes.clear();
            write(&mut self.bytes);
        }
        &self.bytes
    }
}
