//! The visitor: sends the shop a few requests, points out what to look for in the traces, and reports unexpected
//! responses.

use std::net::SocketAddr;

use reqwest::{Client, Method};

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
        look: "one trace through all services and the database",
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
    // The visitor's browser is not part of the shop's telemetry, so it is reqwest's own client.
    // telemark: allow(client)
    let browser = Client::new();
    let mut unexpected = 0;
    for visit in VISITS {
        let as_expected = visit.pay(shop, &browser).await;
        unexpected += usize::from(!as_expected);
    }
    println!();
    unexpected
}

impl Visit {
    async fn pay(&self, shop: SocketAddr, browser: &Client) -> bool {
        let Visit { method, path, body, expected, look } = self;
        let request = browser.request(method.clone(), format!("http://{shop}{path}"));
        let answer = match request.header("content-type", "application/json").body(*body).send().await {
            Ok(response) => response.status().as_u16().to_string(),
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
