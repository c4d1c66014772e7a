//! @elastic/mockotlpserver: an OTLP receiver for tests that runs on Node.js and shares no code with Telemark.

use std::net::SocketAddr;
use std::process::Command;

use super::install::npm;
use super::process::{Process, Service};
use crate::step::Failure;

/// Runs the server through its library, which can choose free ports, unlike its command line. Prints one line of JSON per
/// request and keeps the types of attribute values, which the command line would lose.
const SCRIPT: &str = "
const {MockOtlpServer} = require('@elastic/mockotlpserver');
const {jsonStringifyTrace} = require('@elastic/mockotlpserver/lib/normalize.js');
// The library's own text output for metrics shortens numbers and does not show ids as hex. The output for logs does not
// show types.
const json = (request) => {
    const type = request.constructor;
    return JSON.stringify(type.toObject ? type.toObject(request, {longs: String, bytes: Array, enums: String}) : request);
};
const server = new MockOtlpServer({
    services: ['http', 'grpc'],
    httpHostname: '127.0.0.1', httpPort: 0,
    grpcHostname: '127.0.0.1', grpcPort: 0,
    logLevel: 'warn',
    onTrace: (request) => console.log(jsonStringifyTrace(request, {normAttributes: false})),
    onMetrics: (request) => console.log(json(request)),
    onLogs: (request) => console.log(json(request)),
});
server.start().then(() => console.log('listening', server.grpcUrl.host, server.httpUrl.host));
";

pub(super) fn start() -> Result<Service, Failure> {
    let folder = npm("@elastic/mockotlpserver", "0.10")?;
    let mut command = Command::new("node");
    command.current_dir(folder).arg("--eval").arg(SCRIPT);
    Service::when_ready(Process::start("mockotlpserver", &command)?, addresses)
}

/// Parses the line `listening 127.0.0.1:1 127.0.0.1:2`.
fn addresses(output: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (complete, _) = output.rsplit_once('\n')?;
    let line = complete.lines().find_map(|line| line.strip_prefix("listening "))?;
    let (grpc, http) = line.split_once(' ')?;
    Some((grpc.parse().ok()?, http.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_read_from_a_complete_line() {
        let both = "[warn] x\nlistening 127.0.0.1:40293 127.0.0.1:37729\n";
        let (grpc, http) = addresses(both).unwrap();
        assert_eq!((grpc.port(), http.port()), (40293, 37729));
        assert_eq!(addresses(&both[..both.len() - 3]), None);
        assert_eq!(addresses(""), None);
    }
}
