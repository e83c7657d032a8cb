//! `box proxy service`: the reverse proxy as a service of systemd, with no more rights than it needs.

use std::path::Path;
use std::process::Command;

use box_kit::{Exit, Failure, Outcome};

use super::print;
use crate::cli::Service;
use crate::config::Config;

const UNIT: &str = "/etc/systemd/system/box-proxy.service";
const NAME: &str = "box-proxy.service";

/// Installs or removes the service, or shows what would be installed.
pub fn service(command: &Service) -> Outcome {
    match command {
        Service::Install { config, dry_run } => install(config, *dry_run),
        Service::Uninstall => uninstall(),
    }
}

fn install(config: &Path, dry_run: bool) -> Outcome {
    Config::read(config)?;
    let config = std::fs::canonicalize(config).map_err(Failure::os(config.display()))?;
    let program = std::env::current_exe()?;
    let unit = unit(&program, &config);
    if dry_run {
        return print(&unit);
    }
    std::fs::write(UNIT, unit).map_err(Failure::os(UNIT))?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", NAME])
}

fn uninstall() -> Outcome {
    systemctl(&["disable", "--now", NAME])?;
    std::fs::remove_file(UNIT).map_err(Failure::os(UNIT))?;
    systemctl(&["daemon-reload"])
}

/// A user of its own that exists only while it runs, ports below 1024, and nothing to write but its
/// own state. The configuration and its certificates must be readable to everybody, or to a group
/// that a drop-in adds.
fn unit(program: &Path, config: &Path) -> String {
    let (program, config) = (quoted(program), quoted(config));
    format!(
        "[Unit]\n\
         Description=box proxy\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         \n\
         [Service]\n\
         ExecStart={program} proxy run {config}\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         Restart=on-failure\n\
         TimeoutStopSec=45\n\
         LimitNOFILE=65536\n\
         DynamicUser=yes\n\
         StateDirectory=box-proxy\n\
         Environment=XDG_STATE_HOME=/var/lib/box-proxy XDG_CONFIG_HOME=/var/lib/box-proxy\n\
         AmbientCapabilities=CAP_NET_BIND_SERVICE\n\
         CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n\
         NoNewPrivileges=yes\n\
         ProtectSystem=strict\n\
         ProtectHome=yes\n\
         PrivateTmp=yes\n\
         PrivateDevices=yes\n\
         ProtectKernelTunables=yes\n\
         ProtectKernelModules=yes\n\
         ProtectControlGroups=yes\n\
         RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n\
         RestrictNamespaces=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// A word of a command line in a unit (systemd.service, \"Command lines\").
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    if plain {
        return text;
    }
    let escaped =
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

fn systemctl(args: &[&str]) -> Outcome {
    let output = Command::new("systemctl").args(args).output().map_err(Failure::os("systemctl"))?;
    if output.status.success() {
        return Ok(Exit::DONE);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(said.lines().last().unwrap_or("it failed")).about("systemctl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word() {
        assert_eq!(quoted(Path::new("/usr/bin/box")), "/usr/bin/box");
        assert_eq!(quoted(Path::new("/a b/100%\"$x")), "\"/a b/100%%\\\"$$x\"");
    }
}
