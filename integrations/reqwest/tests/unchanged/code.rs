//! Code that uses reqwest in many ways, for a module in which `reqwest` is one of two crates.

/// Defines `run`, which sends the requests and returns what it has seen.
macro_rules! code {
    () => {
        use std::time::Duration;

        use futures_util::StreamExt;
        use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
        use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};

        #[derive(serde::Serialize)]
        struct Item {
            id: u32,
            name: &'static str,
        }

        struct Api {
            client: Client,
            base: String,
        }

        impl Api {
            fn request(&self, method: Method, path: &str) -> RequestBuilder {
                self.client.request(method, format!("{}{path}", self.base))
            }

            async fn text(&self, request: RequestBuilder) -> reqwest::Result<String> {
                request.send().await?.error_for_status()?.text().await
            }
        }

        fn configured() -> ClientBuilder {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static("text/plain"));
            ClientBuilder::new()
                .default_headers(headers)
                .user_agent("test/1.0")
                .timeout(Duration::from_secs(30))
                .connect_timeout(Duration::from_secs(10))
                .read_timeout(Duration::from_secs(10))
                .pool_idle_timeout(Duration::from_secs(1))
                .pool_max_idle_per_host(2)
                .tcp_nodelay(true)
                .tcp_keepalive(Duration::from_secs(5))
                .local_address(None)
                .http1_only()
                .no_proxy()
                .referer(true)
                .redirect(reqwest::redirect::Policy::limited(5))
                .retry(reqwest::retry::never())
                .resolve("stock.example", "127.0.0.1:9".parse().unwrap())
        }

        pub(super) async fn run(base: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
            let api = Api { client: configured().build()?, base: base.to_owned() };
            let mut seen = Vec::new();
            seen.push(api.text(api.client.get(format!("{base}/a")).query(&[("q", "1")])).await?);
            seen.push(api.text(api.client.post(Url::parse(base)?).json(&Item { id: 7, name: "cup" })).await?);
            seen.push(api.text(api.request(Method::PUT, "/b").form(&[("a", "1"), ("b", "2")])).await?);
            seen.push(api.text(api.request(Method::PATCH, "/c").body("text").header("x-a", 1)).await?);
            seen.push(api.text(api.client.delete(format!("{base}/d")).basic_auth("user", Some("p"))).await?);
            seen.push(
                api.text(api.client.get(format!("{base}/e")).bearer_auth("token").version(reqwest::Version::HTTP_11))
                    .await?,
            );
            seen.push(api.client.head(format!("{base}/f")).send().await?.status().to_string());
            let form = reqwest::multipart::Form::new()
                .text("key", "value")
                .part("file", reqwest::multipart::Part::bytes(vec![1]));
            seen.push(api.text(api.request(Method::POST, "/multipart").multipart(form)).await?);
            let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("a"), Ok("b")]);
            seen.push(api.text(api.request(Method::POST, "/g").body(reqwest::Body::wrap_stream(chunks))).await?);
            let mut headers = HeaderMap::new();
            headers.insert("x-b", HeaderValue::from_static("2"));
            let builder = api.request(Method::GET, "/h").headers(headers).timeout(Duration::from_secs(9));
            let copy = builder.try_clone().ok_or("no copy")?;
            let request = builder.build()?;
            seen.push(format!("{:?} {:?}", request.method(), request.timeout()));
            seen.push(api.client.execute(request).await?.text().await?);
            let (client, request) = copy.build_split();
            seen.push(RequestBuilder::from_parts(client, request?).send().await?.text().await?);
            let mut stream = api.client.get(format!("{base}/stream")).send().await?.bytes_stream();
            let mut bytes = Vec::new();
            while let Some(chunk) = stream.next().await {
                bytes.extend_from_slice(&chunk?);
            }
            seen.push(String::from_utf8(bytes)?);
            let response: Response = reqwest::get(format!("{base}/status/404")).await?;
            seen.push(response.status().to_string());
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            let error: reqwest::Error = response.error_for_status().unwrap_err();
            seen.push(format!("{:?} {}", error.status(), error.is_status()));
            seen.push(format!("{:?}", api.client.get("no url").send().await.unwrap_err()));
            let spawned = tokio::spawn(api.client.get(format!("{base}/i")).send()).await??;
            seen.push(format!("{:?} {:?}", spawned.remote_addr().is_some(), spawned.content_length()));
            Ok(seen)
        }
    };
}
