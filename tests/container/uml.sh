#!/bin/bash
# uml.sh COMMAND ARG...: runs the command as root under User-Mode Linux (Debian's user-mode-linux),
# whose kernel has cgroups of version 2 alone, whatever the machine has. Its root is the machine's,
# read-only, with fresh file systems on /tmp and /run. Output and exit code are the command's.
set -u
folder=$(mktemp -d /var/tmp/box-uml.XXXXXX)
trap 'rm -rf "$folder"' EXIT
quoted=$(printf ' %q' "$@")
cat > "$folder/init" <<INIT
#!/bin/bash
export PATH=$PATH HOME=/root BOX_UNDER_UML=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
mkdir -p /run/m/lib; ln -s /usr/lib/uml/modules /run/m/lib/modules
for module in overlay veth bridge nf_tables nft_chain_nat nft_masq nft_nat nft_ct; do
    modprobe -d /run/m \$module 2>/dev/null
done
ip link set lo up 2>/dev/null
echo "+cpu +io +memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
cd /; ($quoted); echo "uml-exit-status \$?"
sync; echo o > /proc/sysrq-trigger; sleep 5
INIT
chmod +x "$folder/init"
timeout "${UML_TIMEOUT:-300}" linux.uml mem=1024M rootfstype=hostfs rootflags=/ ro \
    init="$folder/init" con=null con0=fd:0,fd:1 quiet </dev/null 2>/dev/null | tr -d '\r' |
    awk '/^uml-exit-status /{code = $2; next}
         /^(mmapper_init|Failed to initialize ubd|SELinux: |reboot: |sysrq: )/{next}
         {print} END{exit (code == "" ? 125 : code)}'
