//! Routes: from the path of a request to a response.

use serde::Serialize;
use serde_json::{Value as Json, json};
use telemark_serve::Handler;
use telemark_serve::http::header::{self, HeaderValue};
use telemark_serve::http::request::Parts;
use telemark_serve::http::{Response, StatusCode};

use super::Api;
use super::guard::{Access, check, protect};
use super::params::{Params, Refused};
use crate::{mcp, page};

/// The first segments of the paths that show the page.
const PAGES: [&str; 8] = ["", "traces", "trace", "metrics", "logs", "map", "findings", "compare"];

type Body = Response<Vec<u8>>;

impl Handler for Api {
    fn handle(&self, request: &Parts) -> Body {
        self.respond(request, || self.get(request.uri.path(), Params(request.uri.query().unwrap_or_default())))
    }

    fn handle_post(&self, request: &Parts, body: &[u8]) -> Body {
        self.respond(request, || {
            if request.uri.path() != "/mcp" {
                return Err(Refused::new(405, "only /mcp accepts POST"));
            }
            let content = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            // Pages of other sites cannot send this type without permission.
            let is_json = content.is_some_and(|content| {
                content.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
            });
            if !is_json {
                return Err(Refused::new(415, "the body must be application/json"));
            }
            Ok(match mcp::respond(self, body) {
                Some(message) => response(&message),
                None => status(StatusCode::ACCEPTED, Response::new(Vec::new())),
            })
        })
    }
}

impl Api {
    /// Checks a request, and adds the headers that protect the page.
    fn respond(&self, request: &Parts, respond: impl FnOnce() -> Result<Body, Refused>) -> Body {
        let mut response = match check(request, self.token.as_ref()) {
            Ok(Access::Granted) => respond().unwrap_or_else(|refused| refusal(&refused)),
            Ok(Access::Login { cookie, location }) => login(&cookie, &location),
            Err(refused) => refusal(&refused),
        };
        protect(response.headers_mut());
        response
    }

    fn get(&self, path: &str, params: Params<'_>) -> Result<Body, Refused> {
        match path {
            "/status.json" => return Ok(response(&self.status())),
            "/traces.json" => return self.traces(params).map(|body| response(&body)),
            "/records.json" => return self.records(params).map(|body| response(&body)),
            "/instruments.json" => return self.instruments(params).map(|body| response(&body)),
            "/map.json" => return self.map(params).map(|body| response(&*body)),
            "/findings.json" => return Ok(response(&*self.findings())),
            "/compare.json" => return self.compare(params).map(|body| response(&body)),
            "/complete.json" => return self.complete(params).map(|body| response(&body)),
            "/mcp" => return Err(Refused::new(405, "send requests to /mcp with POST")),
            _ => {}
        }
        let json = path.strip_prefix('/').and_then(|path| path.strip_suffix(".json"));
        let segments: Vec<&str> = json.unwrap_or_default().split('/').collect();
        let bad_id = |_| Refused::new(404, "the path has no valid id");
        match *segments {
            ["trace", id] => self.trace(id.parse().map_err(bad_id)?).map(|trace| response(&trace)),
            ["trace", trace, "span", span] => {
                self.span(trace.parse().map_err(bad_id)?, span.parse().map_err(bad_id)?).map(|span| response(&span))
            }
            ["instrument", id] => {
                let id = u64::from_str_radix(id, 16).map_err(|_| Refused::new(404, "the path has no valid id"))?;
                self.instrument(id, params).map(|instrument| response(&instrument))
            }
            _ if json.is_some() => Err(Refused::new(404, "there is no such path")),
            _ => file(path),
        }
    }
}

/// Returns a file of the page, or the page itself for the paths of its views.
fn file(path: &str) -> Result<Body, Refused> {
    if let Some((content, bytes)) = page::asset(path) {
        return Ok(content_type(content, Response::new(bytes.to_vec())));
    }
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if PAGES.contains(&first) {
        return Ok(content_type("text/html; charset=utf-8", Response::new(page::PAGE.to_vec())));
    }
    Err(Refused::new(404, "there is no such path"))
}

fn response(body: &impl Serialize) -> Body {
    match serde_json::to_vec(body) {
        Ok(bytes) => content_type("application/json", Response::new(bytes)),
        Err(_) => refusal(&Refused::new(500, "the response cannot be written as JSON")),
    }
}

fn refusal(refused: &Refused) -> Body {
    let mut body = json!({ "error": refused.message });
    if let Some(body) = body.as_object_mut() {
        let mut set = |name: &str, value: Option<Json>| value.map(|value| body.insert(name.to_owned(), value));
        set("at", refused.at.map(Json::from));
        set("evicted_at", refused.evicted_at.map(Json::from));
    }
    let code = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    status(code, content_type("application/json", Response::new(body.to_string().into_bytes())))
}

fn login(cookie: &str, location: &str) -> Body {
    let mut response = status(StatusCode::SEE_OTHER, Response::new(Vec::new()));
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, location)];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn status(code: StatusCode, mut response: Body) -> Body {
    *response.status_mut() = code;
    response
}

fn content_type(content: &'static str, mut response: Body) -> Body {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    response
}
