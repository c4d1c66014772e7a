//! The attribute names of the semantic conventions.
//!
//! Each constant has the name of its attribute, in upper case and with `_` for `.`.
// spec: semantic-conventions 1.45.0, docs/registry/attributes; `tests/conventions.rs` checks every line

#![allow(missing_docs, reason = "the conventions document each name")]

/// The schema of these names and of the values that the integrations record.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

pub const CLIENT_ADDRESS: &str = "client.address";
pub const CLIENT_PORT: &str = "client.port";
pub const CLIENT_SERVICE_NAME: &str = "client.service.name";
pub const CPU_MODE: &str = "cpu.mode";
pub const DB_CLIENT_CONNECTION_POOL_NAME: &str = "db.client.connection.pool.name";
pub const DB_CLIENT_CONNECTION_STATE: &str = "db.client.connection.state";
pub const DB_COLLECTION_NAME: &str = "db.collection.name";
pub const DB_NAMESPACE: &str = "db.namespace";
pub const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
pub const DB_OPERATION_NAME: &str = "db.operation.name";
pub const DB_QUERY_SUMMARY: &str = "db.query.summary";
pub const DB_QUERY_TEXT: &str = "db.query.text";
pub const DB_RESPONSE_RETURNED_ROWS: &str = "db.response.returned_rows";
pub const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";
pub const DB_STORED_PROCEDURE_NAME: &str = "db.stored_procedure.name";
pub const DB_SYSTEM_NAME: &str = "db.system.name";
pub const DISK_IO_DIRECTION: &str = "disk.io.direction";
pub const ERROR_TYPE: &str = "error.type";
pub const HTTP_CONNECTION_STATE: &str = "http.connection.state";
pub const HTTP_REQUEST_BODY_SIZE: &str = "http.request.body.size";
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
pub const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
pub const HTTP_RESPONSE_BODY_SIZE: &str = "http.response.body.size";
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub const HTTP_ROUTE: &str = "http.route";
pub const NETWORK_LOCAL_ADDRESS: &str = "network.local.address";
pub const NETWORK_LOCAL_PORT: &str = "network.local.port";
pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
pub const NETWORK_PEER_PORT: &str = "network.peer.port";
pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
pub const PROCESS_CONTEXT_SWITCH_TYPE: &str = "process.context_switch.type";
pub const RPC_METHOD: &str = "rpc.method";
pub const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
pub const RPC_STATUS_CODE: &str = "rpc.status_code";
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";
pub const SERVER_SERVICE_NAME: &str = "server.service.name";
pub const SYSTEM_PAGING_FAULT_TYPE: &str = "system.paging.fault.type";
pub const URL_FULL: &str = "url.full";
pub const URL_PATH: &str = "url.path";
pub const URL_QUERY: &str = "url.query";
pub const URL_SCHEME: &str = "url.scheme";
pub const URL_TEMPLATE: &str = "url.template";
pub const USER_AGENT_ORIGINAL: &str = "user_agent.original";

/// The way in which an operation ended prematurely, such as `cancelled`. Not part of the conventions.
pub const TELEMARK_OUTCOME: &str = "telemark.outcome";
/// The duration of a phase of a new connection, in seconds. Not part of the conventions.
pub const TELEMARK_PHASE_DURATION: &str = "telemark.phase.duration";
/// The names of truncated attributes. Not part of the conventions.
pub const TELEMARK_TRUNCATED: &str = "telemark.truncated";
