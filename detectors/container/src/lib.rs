//! Resource detectors for containers and Kubernetes.
//!
//! ```
//! use telemark_sdk::config::Env;
//! use telemark_sdk::resource::{Detector, detect};
//! use telemark_sdk::time::Deadline;
//!
//! let env = Env::from_pairs([("K8S_POD_NAME", "shop-7c5f")]);
//! let resource = detect(telemark_container::DETECTORS, &env, Deadline::NEVER);
//! assert_eq!(resource.get("k8s.pod.name").unwrap().as_str(), "shop-7c5f");
//! ```
//!
//! | detector | attributes | source |
//! |---|---|---|
//! | `container` | `container.id` | `/proc/self/cgroup`, or `/proc/self/mountinfo` where control groups have version 2 |
//! | `kubernetes` | `k8s.namespace.name` | `K8S_NAMESPACE_NAME`, or the service account's file |
//! | | `k8s.pod.name`, `k8s.node.name`, and the others below | the variables below |
//!
//! Files are read up to a limit, once, while telemetry starts. A program outside of a container gets no attribute and no message.
//!
//! # Kubernetes
//! A pod does not know itself, so its manifest must tell. Each variable has the name of its attribute in capital letters:
//!
//! ```yaml
//! apiVersion: apps/v1
//! kind: Deployment
//! metadata:
//!   name: shop
//! spec:
//!   selector: { matchLabels: { app: shop } }
//!   template:
//!     metadata: { labels: { app: shop } }
//!     spec:
//!       containers:
//!         - name: shop
//!           image: example.com/shop:1.2
//!           env:
//!             - name: OTEL_RUST_RESOURCE_DETECTORS
//!               value: service,process,host,container,kubernetes
//!             - { name: K8S_POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
//!             - { name: K8S_POD_UID, valueFrom: { fieldRef: { fieldPath: metadata.uid } } }
//!             - { name: K8S_NAMESPACE_NAME, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
//!             - { name: K8S_NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
//!             # The downward API does not have these.
//!             - { name: K8S_CONTAINER_NAME, value: shop }
//!             - { name: K8S_DEPLOYMENT_NAME, value: shop }
//!             - { name: K8S_CLUSTER_NAME, value: production }
//! ```
//!
//! # Environment variables
//! `K8S_CLUSTER_NAME`, `K8S_NODE_NAME`, `K8S_NAMESPACE_NAME`, `K8S_POD_NAME`, `K8S_POD_UID`, `K8S_CONTAINER_NAME` and
//! `K8S_DEPLOYMENT_NAME`.

mod container;
mod kubernetes;

use std::path::Path;

use opentelemetry::KeyValue;
use telemark_sdk::Resource;
use telemark_sdk::resource::{Detector, SCHEMA_URL};

/// The detectors `container` and `kubernetes`.
pub const DETECTORS: &[Detector] = &[
    Detector::for_files("container", |env, _| container::detect(Path::new("/"), env)),
    Detector::for_files("kubernetes", |env, _| kubernetes::detect(Path::new("/"), env)),
];

/// Returns a resource that follows the conventions, or an empty one if nothing was found.
fn described(attributes: Vec<KeyValue>) -> Resource {
    match attributes.is_empty() {
        true => Resource::empty(),
        false => Resource::with_schema_url(attributes, Some(SCHEMA_URL.to_owned())),
    }
}

#[cfg(test)]
mod fixture {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A file system below a folder of its own, removed when dropped.
    pub(crate) struct Root(PathBuf);

    impl Root {
        pub(crate) fn new(test: &str, files: &[(&str, &str)]) -> Self {
            let thread = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_alphanumeric(), "");
            let root = std::env::temp_dir().join(format!("telemark-container-{}-{thread}-{test}", std::process::id()));
            drop(fs::remove_dir_all(&root));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Root(root)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }
}
