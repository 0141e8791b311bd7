#!/bin/sh
# What a script is told of a request. Everything a client has sent is escaped: it may be HTML.
escape() { sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g'; }

cat <<'HEAD'
Content-Type: text/html; charset=utf-8
Cache-Control: no-store

<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<title>Hello from a script</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
  pre { overflow-x: auto; padding: 1rem; background: #8881; border-radius: .5rem }
  :root { color-scheme: light dark }
</style>
<h1>Hello from a script</h1>
<p>This page was written by <code>docroot/cgi/hello.sh</code>. It was told:</p>
<pre>
HEAD
env | sort | escape
cat <<'TAIL'
</pre>
<p><a href="/hello.sh/more/of%20the%20path?and=a+query">With more of a path</a> ·
   <a href="/form.py">A form</a></p>
</html>
TAIL
