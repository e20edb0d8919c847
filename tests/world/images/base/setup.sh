#!/bin/sh
# Runs inside the fresh root file system (`chroot`), once, when the base image is made.
set -eu

# The owners the real images use. 999 of a MariaDB data folder is there already (make.sh: before a package takes the
# number), and so is 33 (Debian's www-data) for everything of Nextcloud. CryptPad's, Jitsi's and Collabora's:
for account in cryptpad:4001 jitsi:1000 cool:1001; do
    groupadd --gid "${account#*:}" "${account%:*}"
    useradd --uid "${account#*:}" --gid "${account%:*}" --home-dir /nonexistent --shell /bin/sh "${account%:*}"
done

rm -f /etc/mysql/my.cnf
cat > /etc/mysql/my.cnf <<'EOF'
[client-server]
socket = /run/mysqld/mysqld.sock

[mariadbd]
datadir = /var/lib/mysql
pid-file = /run/mysqld/mysqld.pid
skip-name-resolve
character-set-server = utf8mb4
# Many of these run side by side on one small machine. Durability stays at the engine's defaults.
max_connections = 40
table_open_cache = 200
innodb_buffer_pool_size = 16M
innodb_log_file_size = 4M
innodb_log_buffer_size = 2M
innodb_data_file_path = ibdata1:5M:autoextend
innodb_temp_data_file_path = ibtmp1:5M:autoextend
innodb_autoextend_increment = 1
innodb_buffer_pool_dump_at_shutdown = 0
innodb_buffer_pool_load_at_startup = 0
aria_pagecache_buffer_size = 2M
aria_log_file_size = 8M
key_buffer_size = 1M
EOF

# An empty, ready data folder: a first start copies it (0.1 s) instead of making it (seconds).
install -d -o mysql -g mysql -m 0755 /run/mysqld
mariadb-install-db --user=mysql --datadir=/usr/share/mysql-template --auth-root-authentication-method=normal \
    --skip-test-db --force >/dev/null

# Images of MariaDB 11 and later have no `mysql*` names: a manifest that leans on them must fail here as well.
find /usr/bin /usr/sbin -name 'mysql*' -delete
for program in mariadb-slap mariadb-binlog mariadb-conv mariadb-import innochecksum replace; do
    rm -f "/usr/bin/$program"
done
rm -rf /var/lib/mysql /var/www /var/lib/redis /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale \
    /var/lib/apt/lists /var/cache/apt /var/cache/debconf /var/log/apt /var/log/*.log /usr/lib/*/perl/*/CORE
