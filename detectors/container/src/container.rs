//! The detector `container`: the id that the container's runtime has given to it.

use std::path::Path;

use opentelemetry::KeyValue;
use telemark_sdk::config::Env;
use telemark_sdk::resource::read_text;
use telemark_sdk::{ConfigError, Resource};

use crate::described;

/// The digits of an id.
const LENGTH: usize = 64;
/// The mounts of a host with many containers take some hundred kilobytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The conventions define the attribute, but not its source. This reads the same places in the same order as OpenTelemetry's
/// detector for Java.
pub(crate) fn detect(root: &Path, env: &Env) -> Resource {
    let read = |file: &str| read_text(root.join(file), MAX_FILE);
    let id = read("proc/self/cgroup").and_then(|text| text.lines().find_map(of_control_group).map(str::to_owned));
    let id = id.or_else(|| of_mounts(&read("proc/self/mountinfo")?, env));
    described(id.map(|id| KeyValue::new("container.id", id)).into_iter().collect())
}

/// Returns the id at the end of a line of `/proc/self/cgroup`, such as `0::/system.slice/docker-….scope`. Only version 1 shows it
/// from inside of a container.
fn of_control_group(line: &str) -> Option<&str> {
    let (_, last) = line.rsplit_once('/')?;
    let id = match last.rsplit_once(':') {
        // containerd with systemd: `…:cri-containerd:id`.
        Some((_, id)) => id,
        None => {
            let last = last.rsplit_once('.').map_or(last, |(id, _)| id);
            last.rsplit_once('-').map_or(last, |(_, id)| id)
        }
    };
    (id.len() == LENGTH && is_hexadecimal(id)).then_some(id)
}

/// Returns the id in `/proc/self/mountinfo`: the runtimes mount files of the container's folder, such as `resolv.conf`.
fn of_mounts(text: &str, env: &Env) -> Option<String> {
    let named = |name: &str| text.lines().find_map(|line| id_after(line, name));
    if let Some(id) = named("/crio-").or_else(|| named("cri-containerd:")) {
        return Some(id.to_owned());
    }
    let mut ids: Vec<_> = text.lines().filter_map(of_mount).collect();
    ids.dedup();
    let id = *ids.last()?;
    if ids.iter().any(|other| *other != id) {
        let problem = "/proc/self/mountinfo names several containers; the last one is taken";
        env.warn(ConfigError::state("container.id", problem));
    }
    Some(id.to_owned())
}

/// Returns the id in the root of a mount, the fourth field of its line: `…/containers/id/…`.
fn of_mount(line: &str) -> Option<&str> {
    let root = line.split(' ').nth(3)?;
    let (_, path) = root.split_once("/containers/")?;
    let is_run = |start: usize| path.get(start..start + LENGTH).filter(|run| is_hexadecimal(run));
    (0..path.len().saturating_sub(LENGTH - 1)).find_map(is_run)
}

/// Returns the id that directly follows `name`.
fn id_after<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.match_indices(name).find_map(|(at, _)| {
        let start = at + name.len();
        line.get(start..start + LENGTH).filter(|id| is_hexadecimal(id))
    })
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Root;
    use proptest::prelude::*;

    const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    /// Compares the id in these two files with `expected`. In the files, `A` and `B` stand for ids.
    #[track_caller]
    fn check(cgroup: &str, mounts: &str, expected: &str) -> usize {
        let fill = |text: &str| text.replace('A', A).replace('B', B);
        let root = Root::new("id", &[("proc/self/cgroup", &fill(cgroup)), ("proc/self/mountinfo", &fill(mounts))]);
        let env = Env::from_pairs([("", "")]);
        let resource = detect(root.path(), &env);
        let id = resource.get("container.id").map(|id| id.as_str().into_owned()).unwrap_or_default();
        assert_eq!(id, fill(expected), "{cgroup}{mounts}");
        assert_eq!(resource.schema_url().is_some(), !expected.is_empty());
        env.take_warnings().len()
    }

    #[test]
    fn control_groups_of_version_1() {
        check("12:pids:/docker/A\n11:memory:/docker/A\n", "", "A");
        check("1:name=systemd:/system.slice/docker-A.scope\n", "", "A");
        check("4:cpu:/kubepods/besteffort/pod12345678-0000-0000-0000-000000000000/A\n", "", "A");
        check("4:cpu:/kubepods.slice/kubepods-pod1.slice/cri-containerd-A.scope\n", "", "A");
        check("4:cpu:/kubepods.slice/crio-A.scope\n", "", "A");
        check("9:x:/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:A\n", "", "A");
        check("9:x:/libpod_parent/libpod-A\n8:y:/libpod_parent/libpod-B\n", "", "A");
        check("2:x:/user.slice\n1:x:/docker/B\n", "", "B");
    }

    #[test]
    fn what_is_no_id_is_not_taken() {
        for line in [
            "0::/",
            "0::/init.scope",
            "1:x:/docker/abc",
            "1:x:/docker/AA",
            "1:x:/docker/A0",
            "A",
            "1:x:/docker/A/",
            "",
            "/",
            "/.-:",
        ] {
            check(line, "", "");
        }
        check(&format!("1:x:/docker/{}", A.to_uppercase().replace('A', "F")), "", "");
    }

    #[test]
    fn mounts_where_control_groups_have_version_2() {
        let docker =
            "1234 1220 254:1 /var/lib/docker/containers/A/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw\n";
        check("0::/\n", docker, "A");
        let podman =
            "983 961 0:56 /containers/overlay-containers/A/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n";
        check("0::/\n", podman, "A");
        let crio = "9 8 0:30 /kubepods.slice/crio-A.scope /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        check("0::/\n", crio, "A");
        let containerd = "9 8 0:30 /x.slice:cri-containerd:A /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        check("0::/\n", containerd, "A");
        // The runtime's own name goes before the paths.
        check("0::/\n", &format!("{}{crio}", docker.replace('A', "B")), "A");
        // Control groups go before mounts.
        check("1:x:/docker/B\n", docker, "B");
    }

    #[test]
    fn mounts_of_a_host_name_no_container() {
        check("0::/\n", "30 1 254:1 / /var/lib/docker/containers/A/mounts/shm rw - tmpfs shm rw\n", "");
        check("0::/\n", "30 1 254:1 /var/lib/docker/overlay2/A/merged / rw - overlay overlay rw\n", "");
        check("0::/\n", "30 1 254:1 /containers/abc / rw\n30 1\n\n", "");
    }

    #[test]
    fn several_containers_are_said() {
        let line = |id: &str| format!("1 2 3:4 /var/lib/docker/containers/{id}/hosts /etc/hosts rw - ext4 x rw\n");
        assert_eq!(check("", &(line("A") + &line("A")), "A"), 0);
        assert_eq!(check("", &(line("A") + &line("B")), "B"), 1);
        assert_eq!(check("", &(line("A") + &line("B") + &line("A")), "A"), 1);
    }

    #[test]
    fn without_files_nothing_is_found() {
        let root = Root::new("empty", &[]);
        assert!(detect(root.path(), &Env::from_pairs([("", "")])).is_empty());
    }

    #[test]
    fn a_huge_file_is_read_up_to_a_limit() {
        let filler = "1:x:/none\n".repeat(1024 * 1024 / 10 + 1);
        check(&format!("{filler}1:x:/docker/A\n"), "", "");
        check(&format!("1:x:/docker/A\n{filler}"), "", "A");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text: String, lines in "([0-9a-f]{60,70}|[ /:.-]|/containers/|/crio-|ü|\n){0,20}") {
            for text in [text, lines] {
                for line in text.lines() {
                    of_control_group(line);
                }
                of_mounts(&text, &Env::from_pairs([("", "")]));
            }
        }
    }
}
