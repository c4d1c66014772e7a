//! The page: its document, scripts and sheets, embedded in the library so that it works offline and needs no build step.

/// The document that every path of the page gets.
pub(crate) const PAGE: &[u8] = include_bytes!("../assets/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const SHEET: &str = "text/css; charset=utf-8";

macro_rules! assets {
    ($($content_type:expr => $($path:literal),+;)+) => {
        const ASSETS: &[(&str, &str, &[u8])] =
            &[$($((concat!("/assets/", $path), $content_type, include_bytes!(concat!("../assets/", $path)))),+),+];
    };
}

assets! {
    "image/svg+xml" => "icon.svg";
    SHEET => "style/tokens.css", "style/base.css", "style/views.css", "style/trace.css", "style/narrow.css";
    SCRIPT => "app/api.js", "app/chart.js", "app/dom.js", "app/format.js", "app/keys.js", "app/load.js", "app/main.js",
        "app/patch.js", "app/press.js", "app/search.js", "app/url.js", "app/welcome.js";
    SCRIPT => "trace/overview.js", "trace/panel.js", "trace/tree.js", "trace/waterfall.js";
    SCRIPT => "views/choose.js", "views/compare.js", "views/evidence.js", "views/findings.js", "views/heat.js",
        "views/layout.js", "views/logs.js", "views/map.js", "views/metrics.js", "views/scatter.js", "views/trace.js",
        "views/traces.js";
}

/// Returns the content type and the bytes of a file of the page.
pub(crate) fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    ASSETS.iter().find(|(known, ..)| *known == path).map(|(_, content_type, body)| (*content_type, *body))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn text(body: &'static [u8]) -> &'static str {
        std::str::from_utf8(body).unwrap()
    }

    fn files(folder: &Path, into: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, into);
            } else {
                into.insert(path);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut found = BTreeSet::new();
        files(&folder, &mut found);
        let found: BTreeSet<String> = found
            .iter()
            .map(|path| format!("/assets/{}", path.strip_prefix(&folder).unwrap().display()))
            .filter(|path| path != "/assets/index.html")
            .collect();
        let embedded: BTreeSet<String> = ASSETS.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(embedded, found);
    }

    /// Returns each path that a file names: imports of scripts, and links of the document.
    fn named(path: &str, body: &str) -> Vec<String> {
        let quoted = |line: &str, before: &str, quote: char| {
            let rest = &line[line.find(before)? + before.len()..];
            Some(rest[..rest.find(quote)?].to_owned())
        };
        let folder = path.rsplit_once('/').unwrap().0;
        let absolute = |relative: String| match relative.strip_prefix("./") {
            Some(name) => format!("{folder}/{name}"),
            None => relative.replacen("..", "/assets", 1).replacen("//", "/", 1),
        };
        let imports = body.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "));
        let imports = imports.filter_map(|line| quoted(line, "from '", '\'')).map(absolute);
        let links =
            body.lines().filter_map(|line| quoted(line, "\"/assets/", '"')).map(|rest| format!("/assets/{rest}"));
        imports.chain(links).collect()
    }

    #[test]
    fn every_path_that_a_file_names_exists() {
        let mut seen = 0;
        let all = ASSETS.iter().map(|(path, _, body)| (*path, *body)).chain([("/assets/index.html", PAGE)]);
        for (path, body) in all {
            for named in named(path, text(body)) {
                assert!(asset(&named).is_some(), "{path} names {named}");
                seen += 1;
            }
        }
        assert!(seen > 50, "only {seen} paths were found");
    }

    #[test]
    fn nothing_turns_text_into_markup_or_breaks_the_content_security_policy() {
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
            "createContextualFragment",
            "javascript:",
            "setAttribute('style'",
            "http://w",
            "https://",
        ];
        for (path, _, body) in ASSETS.iter().filter(|(path, ..)| path.ends_with(".js")) {
            let body = text(body).replace("http://www.w3.org/2000/svg", "");
            for word in forbidden {
                assert!(!body.contains(word), "{path} contains {word}");
            }
        }
        let page = text(PAGE);
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" on"), "inline code or style");
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
    }

    #[test]
    fn an_unknown_path_is_no_asset() {
        for path in ["/", "/assets/", "/assets/index.html", "/assets/../Cargo.toml", "app/main.js"] {
            assert!(asset(path).is_none(), "{path}");
        }
    }
}
