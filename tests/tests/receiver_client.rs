//! A handwritten request, sent without any of Telemark's code, is read back unchanged from a running receiver.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::io::{Read, Write};
use std::net::TcpStream;

use telemark_tests::Receiver;

const REQUEST: &str = r#"{"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "SERVICE"}}]},
    "scopeSpans": [{"scope": {"name": "by hand", "version": "1"}, "spans": [
        {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b173", "name": "root", "kind": 2,
         "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
         "attributes": [{"key": "http.response.status_code", "value": {"intValue": "200"}},
                        {"key": "tags", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}}]},
        {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "child", "kind": 1,
         "parentSpanId": "eee19b7ec3c1b173", "status": {"code": 2, "message": "sold out"},
         "startTimeUnixNano": "1544712660000000001", "endTimeUnixNano": "1544712660000000002",
         "events": [{"timeUnixNano": "1544712660000000001", "name": "exception", "attributes": [
             {"key": "exception.message", "value": {"stringValue": "no"}}]}]}
    ]}]
}]}"#;

const EXPECTED: &str = r#"resource service.name="SERVICE"
"root" server unset in by hand 1
  http.response.status_code=200
  tags=["a"]
  "child" internal error: sold out in by hand 1
    event "exception" exception.message="no"
"#;

#[test]
fn a_request_written_by_hand_comes_back() {
    // A receiver that was started manually may still hold spans from earlier runs.
    let service = format!("receiver_client {}", std::process::id());
    let (request, expected) = (REQUEST.replace("SERVICE", &service), EXPECTED.replace("SERVICE", &service));
    for receiver in Receiver::running() {
        let address = receiver.http.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST /v1/traces HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{request}",
            request.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{}: {answer}", receiver.name);
        let received = receiver.await_received(&service, |received| received.spans.len() >= 2);
        assert_eq!(received.text(), expected, "{}", receiver.name);
    }
}
