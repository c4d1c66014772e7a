//! The visitor: sends the shop a few requests, points out what to look for in the traces, and reports unexpected
//! responses.

use std::net::SocketAddr;

use axum::http::Method;

use crate::client::Client;

struct Visit {
    method: Method,
    path: &'static str,
    body: &'static str,
    /// The expected status of the response.
    expected: u16,
    look: &'static str,
}

const VISITS: &[Visit] = &[
    Visit {
        method: Method::GET,
        path: "/products",
        body: "",
        expected: 200,
        look: "a request with one statement in the database",
    },
    Visit {
        method: Method::POST,
        path: "/orders",
        body: r#"{"sku": "teapot", "quantity": 2, "card": "5100 0000 0000 0008"}"#,
        expected: 201,
        look: "one trace through both services and the database",
    },
    Visit {
        method: Method::POST,
        path: "/orders",
        body: r#"{"sku": "cup", "quantity": 6, "card": "4000 0000 0000 0002"}"#,
        expected: 500,
        look: "a declined card: where it failed and why; no order is stored",
    },
    Visit {
        method: Method::GET,
        path: "/products/spoon",
        body: "",
        expected: 404,
        look: "a mistake of the client, not an error of the server",
    },
    Visit {
        method: Method::GET,
        path: "/products/teapot/similar",
        body: "",
        expected: 200,
        look: "a slow one: two searches at once, see the bars",
    },
];

/// Makes the visits one after another. Returns the number of unexpected responses.
pub(crate) async fn visit(shop: SocketAddr) -> usize {
    println!("The visitor asks the shop at http://{shop}\n");
    // The visitor's browser is not part of the shop's telemetry.
    telemark::suppress_future(async {
        let client = Client::to(shop);
        let mut unexpected = 0;
        for visit in VISITS {
            let as_expected = visit.pay(&client).await;
            unexpected += usize::from(!as_expected);
        }
        println!();
        unexpected
    })
    .await
}

impl Visit {
    async fn pay(&self, client: &Client) -> bool {
        let Visit { method, path, body, expected, look } = self;
        let answer = match client.send(method.clone(), path, body).await {
            Ok(answer) => answer.status.as_u16().to_string(),
            Err(error) => error.to_string(),
        };
        println!("  {method:<4} {path:<24} {answer}  {look}");
        let as_expected = answer == expected.to_string();
        if !as_expected {
            println!("       expected {expected}");
        }
        as_expected
    }
}
