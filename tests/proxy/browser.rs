//! The inspector's page in a real browser, headless, driven over WebDriver.

use std::io::{BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use box_harness::{free_port, oracle, scratch, wait_until};
use serde_json::{Value, json};

use crate::inspector;
use crate::support::*;

/// A browser with one page.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    fn start(driver: &Path, folder: &Path) -> Browser {
        let port = free_port();
        let child = Command::new(driver)
            .arg(format!("--port={port}"))
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver starts");
        let mut browser = Browser { driver: child, port, session: String::new() };
        wait_until("the driver to listen", 20, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            &profile,
        ];
        let options = json!({"goog:chromeOptions": {"args": args}});
        let answer =
            browser.call("POST", "/session", &json!({"capabilities": {"alwaysMatch": options}}));
        browser.session = answer["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        let mut stream = dial(self.port);
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        stream.write_all(request.as_bytes()).expect("sent");
        // The driver keeps the connection whatever it is asked.
        let answer = read_request(&mut BufReader::new(stream)).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert!(answer["value"]["error"].is_null(), "{method} {path}: {answer}");
        answer["value"].take()
    }

    fn open(&self, url: &str) {
        self.call("POST", &format!("/session/{}/url", self.session), &json!({"url": url}));
    }

    /// Runs a script in the page: what it returns.
    fn run(&self, script: &str) -> Value {
        let path = format!("/session/{}/execute/sync", self.session);
        self.call("POST", &path, &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    fn wait(&self, expression: &str) {
        wait_until(expression, 20, || self.run(&format!("return {expression}")) == json!(true));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with the session.
        if !self.session.is_empty() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_lists_filters_shows_and_replays_and_runs_no_script_of_a_visitor() {
    let Some(driver) = oracle("chromedriver") else { return };
    let home = scratch();
    let (told, came) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let port = http_origin(move |request| {
        let _ = told.lock().expect("unpoisoned").send(request.target().to_owned());
        ok(b"<script>document.title='answered'</script>")
    });
    let inspected = inspector::start(home.path(), port);
    let script = "/<script>document.title='asked'</script>";
    for path in ["/first", "/second?x=1", script] {
        inspected.visit("POST", path, "<img src=x onerror=\"document.title='body'\">");
    }
    let browser = Browser::start(&driver, home.path());
    browser.open(&format!("http://127.0.0.1:{}/", inspected.inspector));
    let rows = "document.querySelectorAll('.row').length";
    browser.wait(&format!("{rows} === 3"));
    browser.wait("document.querySelector('#urls a').textContent.includes('.localhost')");
    let filter = |text: &str| {
        browser.run(&format!(
            "const f = document.getElementById('filter'); f.value = '{text}'; f.dispatchEvent(new Event('input'))"
        ))
    };
    filter("second");
    browser.wait(&format!("{rows} === 1"));
    filter("script");
    browser.wait(&format!("{rows} === 1"));
    browser.run("document.querySelector('.row').click()");
    browser.wait("document.querySelector('#detail h2') !== null");
    let shown = browser.run("return document.getElementById('detail').textContent");
    let shown = shown.as_str().expect("text");
    assert!(shown.contains(script) && shown.contains("document.title='answered'"), "{shown}");
    assert!(shown.contains("<img src=x"), "{shown}");
    assert_eq!(browser.run("return document.title"), "box proxy", "no script of a visitor has run");
    let first: Vec<String> = came.try_iter().collect();
    assert_eq!(first.len(), 3);
    browser.run("document.querySelector('#detail button').click()");
    filter("");
    browser.wait(&format!("{rows} === 4"));
    assert_eq!(came.recv_timeout(PATIENCE).as_deref(), Ok(script), "sent again as it was");
}
