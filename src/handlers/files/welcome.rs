//! The page of a root that has no index page yet.

use crate::http::Status;
use crate::serve::Response;

/// Says that the server works and what to do next. The same for everybody: nothing of the request
/// and nothing of the machine is in it.
pub fn page() -> Response {
    Response::text(Status::OK, "text/html; charset=utf-8", PAGE)
        .with_header("Cache-Control", b"no-store")
        .with_header("Content-Security-Policy", super::listing::POLICY.as_bytes())
}

const PAGE: &str = "<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>
<title>It works</title>
<style>
:root{color-scheme:light dark}
body{font:16px/1.6 system-ui,sans-serif;max-width:42em;margin:12vh auto;padding:0 1em}
h1{font-size:2.2em;margin:0}
pre{padding:.8em 1em;border:1px solid #8884;border-radius:6px;overflow:auto}
</style>
<h1>It works.</h1>
<p>httpyserver is running and serves the files of this host's folder.
You see this page because there is no <code>index.html</code> in it yet.</p>
<p>What to do next, in that folder:</p>
<pre>echo '&lt;h1&gt;Hello&lt;/h1&gt;' &gt; index.html   # your first page
httpyserver -c web.conf -t              # is web.conf right?
httpyserver --help                      # what else there is</pre>
";

#[cfg(test)]
mod tests {
    #[test]
    fn it_works() {
        assert!(super::PAGE.contains("It works"));
        assert!(super::PAGE.len() < 2000 && !super::PAGE.contains("<script"));
    }
}
