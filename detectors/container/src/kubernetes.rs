//! The detector `kubernetes`: the pod, as its manifest describes it.

use std::path::Path;

use opentelemetry::KeyValue;
use telemark_sdk::Resource;
use telemark_sdk::config::Env;
use telemark_sdk::resource::read_text;

use crate::described;

const NAMESPACE: &str = "k8s.namespace.name";
/// Kubernetes mounts it into every container, unless the pod declines the service account's token.
const NAMESPACE_FILE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The variables and their attributes.
const VARIABLES: &[(&str, &str)] = &[
    ("K8S_CLUSTER_NAME", "k8s.cluster.name"),
    ("K8S_NODE_NAME", "k8s.node.name"),
    ("K8S_NAMESPACE_NAME", NAMESPACE),
    ("K8S_POD_NAME", "k8s.pod.name"),
    ("K8S_POD_UID", "k8s.pod.uid"),
    ("K8S_CONTAINER_NAME", "k8s.container.name"),
    ("K8S_DEPLOYMENT_NAME", "k8s.deployment.name"),
];

pub(crate) fn detect(root: &Path, env: &Env) -> Resource {
    let of_variable = |&(variable, key): &(_, &'static str)| Some(KeyValue::new(key, env.string(variable)?));
    let mut attributes: Vec<_> = VARIABLES.iter().filter_map(of_variable).collect();
    if !attributes.iter().any(|attribute| attribute.key.as_str() == NAMESPACE) {
        attributes.extend(namespace(root).map(|name| KeyValue::new(NAMESPACE, name)));
    }
    described(attributes)
}

/// Returns the namespace of the service account, which is the pod's.
fn namespace(root: &Path) -> Option<String> {
    /// Names of Kubernetes are names of DNS.
    const MAX: usize = 63;
    let text = read_text(root.join(NAMESPACE_FILE), 4096)?;
    let name = text.trim();
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    ((1..=MAX).contains(&name.len()) && is_name(name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Root;

    #[track_caller]
    fn check(variables: &[(&str, &str)], file: Option<&str>, expected: &str) {
        let files: Vec<_> = file.map(|text| (NAMESPACE_FILE, text)).into_iter().collect();
        let root = Root::new("pod", &files);
        let resource = detect(root.path(), &Env::from_pairs(variables.iter().copied()));
        let text: Vec<_> = resource.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        assert_eq!(text.join(" "), expected);
    }

    #[test]
    fn a_pod_is_what_its_manifest_says() {
        let all: Vec<_> = VARIABLES.iter().map(|(variable, _)| (*variable, *variable)).collect();
        check(
            &all,
            Some("other"),
            "k8s.cluster.name=K8S_CLUSTER_NAME k8s.container.name=K8S_CONTAINER_NAME \
             k8s.deployment.name=K8S_DEPLOYMENT_NAME k8s.namespace.name=K8S_NAMESPACE_NAME k8s.node.name=K8S_NODE_NAME \
             k8s.pod.name=K8S_POD_NAME k8s.pod.uid=K8S_POD_UID",
        );
        check(&[("K8S_POD_NAME", "a"), ("K8S_POD_UID", "")], None, "k8s.pod.name=a");
        check(&[], None, "");
    }

    #[test]
    fn each_variable_is_its_attribute_in_capitals_and_in_the_manifest() {
        let page = include_str!("lib.rs");
        for (variable, key) in VARIABLES {
            assert_eq!(key.to_uppercase().replace('.', "_"), *variable);
            assert!(page.contains(&format!("{{ name: {variable}, ")), "{variable} is missing in the manifest");
        }
    }

    #[test]
    fn the_namespace_is_that_of_the_service_account() {
        check(&[], Some("shop"), "k8s.namespace.name=shop");
        check(&[], Some(" shop-2\n"), "k8s.namespace.name=shop-2");
        for no_name in ["", "\n", "a b", "a\nb", "größe", &"a".repeat(64), &"a".repeat(5000)] {
            check(&[], Some(no_name), "");
        }
    }
}
