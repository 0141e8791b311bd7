//! The file: the tables that it may have.

use super::app::{self, APP};
use super::cgi::CGI;
use super::limits::{LIMITS, TIMEOUTS};
use super::log::LOG;
use super::media::{COMPRESS, MEDIA};
use super::server::SERVER;
use super::tls::TLS;
use super::{Keys, Nested, Own, key};
use crate::conf::model::{App, Config, Format};
use crate::conf::read::{Item, Reader};
use crate::conf::rules;

pub(in crate::conf) static ROOT: Keys<Config> = Keys {
    title: "the file",
    defaults: || Config::of(Format::Toml),
    keys: &[
        key("server", at!(Config, server: Nested(&SERVER))).does("addresses and the process"),
        key("timeouts", at!(Config, timeouts: Nested(&TIMEOUTS))).does("how long is waited"),
        key("limits", at!(Config, limits: Nested(&LIMITS))).does("how much clients may use"),
        key("log", at!(Config, log: Nested(&LOG))).does("the error log and the access log"),
        key("media", at!(Config, media: Nested(&MEDIA))).does("media types of files"),
        key("compress", at!(Config, compress: Nested(&COMPRESS))).does("compressed answers"),
        key("tls", at!(Config, tls: Nested(&TLS))).does("certificates and encryption"),
        key("cgi", at!(Config, cgi: Nested(&CGI))).does("what all scripts have in common"),
        key("app", at!(Config, apps: APPS)).does("Python applications"),
        key("host", at!(Config, hosts: Own::by_hand("an array of tables")))
            .does("virtual hosts; at least one"),
    ],
};

const APPS: Own<Vec<App>> =
    Own { wanted: "tables, each headed [app.NAME]", read: apps, show: |_| None };

fn apps(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<App>> {
    let mut apps = Vec::new();
    for item in reader.map(item, "app", APPS.wanted) {
        if let Err(fault) = rules::app_name(item.key) {
            let named = Item { span: item.key_span.clone(), ..item.clone() };
            reader.fault(&named, item.key, fault);
        } else if let Some(table) = reader.table(&item, &APP) {
            apps.push(app::read(reader, &item, table));
        }
    }
    Some(apps)
}
