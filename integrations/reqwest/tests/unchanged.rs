//! The same code compiles and behaves alike with reqwest and with this crate.
#![cfg(all(feature = "form", feature = "json", feature = "multipart", feature = "query", feature = "stream"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod server;

use server::Server;

#[macro_use]
#[path = "unchanged/code.rs"]
mod code;

mod ours {
    use telemark_reqwest as reqwest;

    code!();
}

mod theirs {
    code!();
}

#[tokio::test]
async fn code_compiles_unchanged_and_sends_the_same_requests() {
    let server = Server::start().await;
    let ours = ours::run(&server.url("")).await.unwrap();
    let count = server.received().len();
    let theirs = theirs::run(&server.url("")).await.unwrap();
    assert_eq!(ours, theirs);
    let received = server.received();
    let (ours, theirs) = received.split_at(count);
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        // The boundary of a form is random.
        if ours.path != "/multipart" {
            assert_eq!((ours.shown(), &ours.headers), (theirs.shown(), &theirs.headers));
        }
    }
}

#[test]
fn a_client_is_a_client_of_reqwest() {
    fn takes(_client: &reqwest::Client) {}
    let client = telemark_reqwest::Client::new();
    takes(&client);
    takes(client.as_ref());
    takes(&client.clone().into_inner());
    let _inner: reqwest::Client = client.clone().into();
    assert_eq!(format!("{client:?}"), format!("{:?}", *client));
    let _default = telemark_reqwest::Client::default();
}
