//! Compares the keys with the names that OpenTelemetry publishes for Rust.

use opentelemetry_semantic_conventions::attribute;

/// Lists the kit's constants that OpenTelemetry also publishes, as tuples of name, value and published value. The compiler
/// warns about deprecated names.
macro_rules! published {
    ($($name:ident)*) => {
        [$((stringify!($name), telemark_kit::keys::$name, attribute::$name)),*]
    };
}

const PUBLISHED: [(&str, &str, &str); 43] = published![
    CLIENT_ADDRESS
    CLIENT_PORT
    CPU_MODE
    DB_CLIENT_CONNECTION_POOL_NAME
    DB_CLIENT_CONNECTION_STATE
    DB_COLLECTION_NAME
    DB_NAMESPACE
    DB_OPERATION_BATCH_SIZE
    DB_OPERATION_NAME
    DB_QUERY_SUMMARY
    DB_QUERY_TEXT
    DB_RESPONSE_RETURNED_ROWS
    DB_RESPONSE_STATUS_CODE
    DB_STORED_PROCEDURE_NAME
    DB_SYSTEM_NAME
    DISK_IO_DIRECTION
    ERROR_TYPE
    HTTP_CONNECTION_STATE
    HTTP_REQUEST_BODY_SIZE
    HTTP_REQUEST_METHOD
    HTTP_REQUEST_METHOD_ORIGINAL
    HTTP_REQUEST_RESEND_COUNT
    HTTP_RESPONSE_BODY_SIZE
    HTTP_RESPONSE_STATUS_CODE
    HTTP_ROUTE
    NETWORK_LOCAL_ADDRESS
    NETWORK_LOCAL_PORT
    NETWORK_PEER_ADDRESS
    NETWORK_PEER_PORT
    NETWORK_PROTOCOL_VERSION
    PROCESS_CONTEXT_SWITCH_TYPE
    RPC_METHOD
    RPC_METHOD_ORIGINAL
    RPC_SYSTEM_NAME
    SERVER_ADDRESS
    SERVER_PORT
    SYSTEM_PAGING_FAULT_TYPE
    URL_FULL
    URL_PATH
    URL_QUERY
    URL_SCHEME
    URL_TEMPLATE
    USER_AGENT_ORIGINAL
];

/// Names of the conventions 1.45 that the crate with OpenTelemetry's published names does not have yet.
const NEWER: [(&str, &str); 3] = [
    ("CLIENT_SERVICE_NAME", "client.service.name"),
    ("RPC_STATUS_CODE", "rpc.status_code"),
    ("SERVER_SERVICE_NAME", "server.service.name"),
];

/// Telemark's own names.
const OWN: [(&str, &str); 3] = [
    ("TELEMARK_OUTCOME", "telemark.outcome"),
    ("TELEMARK_PHASE_DURATION", "telemark.phase.duration"),
    ("TELEMARK_TRUNCATED", "telemark.truncated"),
];

/// Returns the names and values of the constants in a source file.
fn constants(source: &str) -> Vec<(&str, &str)> {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix("\";")?.split_once(": &str = \""))
        .filter(|(name, _)| *name != "SCHEMA_URL")
        .collect()
}

/// Lists the constants that differ from the conventions.
fn violations(constants: &[(&str, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, value) in constants {
        if *name != value.to_uppercase().replace('.', "_") {
            violations.push(format!("{name} is not named after {value}"));
        }
        let published = PUBLISHED.iter().find(|(known, ..)| known == name);
        if published.is_none_or(|(_, _, published)| published != value)
            && !OWN.iter().chain(&NEWER).any(|known| known == &(*name, *value))
        {
            violations.push(format!("{name} = {value} is in no table"));
        }
    }
    violations
}

#[test]
fn every_key_is_a_name_of_the_conventions() {
    let constants = constants(include_str!("../src/keys.rs"));
    assert_eq!(constants.len(), PUBLISHED.len() + NEWER.len() + OWN.len(), "each constant is in one table");
    assert_eq!(violations(&constants), [""; 0]);
    assert!(constants.is_sorted_by_key(|(name, _)| (name.starts_with("TELEMARK"), *name)));
}

#[test]
fn a_planted_key_is_noticed() {
    let check = |line: &str, expected: &[&str]| assert_eq!(violations(&constants(line)), expected, "{line}");
    check(r#"pub const URL_PATH: &str = "url.path";"#, &[]);
    check(
        r#"pub const URL_PATH: &str = "url.query";"#,
        &["URL_PATH is not named after url.query", "URL_PATH = url.query is in no table"],
    );
    check(r#"pub const HTTP_METHOD: &str = "http.method";"#, &["HTTP_METHOD = http.method is in no table"]);
}
