# Sourced by up.sh: what the services and their users read. Everything is on loopback, on PORT and the ports after it:
# 0 Keystone, 1 Placement, 2 Glance, 3 Nova, 4 the network service, 5 MariaDB, 6 to 8 RabbitMQ.

configure() {  # FOLDER PORT
    mkdir -p "$1/keystone" "$1/placement" "$1/glance/images" "$1/nova/c1/instances" "$1/nova/c2/instances"
    mysql="mysql+pymysql://cloud:x@127.0.0.1:$(($2 + 5))"
    account="auth_type=password
auth_url=http://127.0.0.1:$2/v3
username=admin
password=x
project_name=admin
user_domain_id=default
project_domain_id=default
region_name=tests"
    tokens="[keystone_authtoken]
www_authenticate_uri=http://127.0.0.1:$2
$account"
    cat >"$1/keystone/keystone.conf" <<END
[database]
connection=$mysql/keystone
[token]
provider=fernet
[fernet_tokens]
key_repository=$1/keystone/fernet
[credential]
key_repository=$1/keystone/credentials
[identity]
password_hash_rounds=4
END
    cat >"$1/placement/placement.conf" <<END
[placement_database]
connection=$mysql/placement
[api]
auth_strategy=keystone
$tokens
END
    cat >"$1/glance/glance-api.conf" <<END
[DEFAULT]
enabled_backends=files:file
[database]
connection=$mysql/glance
[glance_store]
default_backend=files
[files]
filesystem_store_datadir=$1/glance/images
$tokens
[paste_deploy]
flavor=keystone
END
    cp "$home"/etc/glance/*.ini "$1/glance/"
    cp "$home/etc/nova/api-paste.ini" "$1/nova/"
    for host in c1 c2; do nova_configuration "$1" "$2" "$host" >"$1/nova/nova-$host.conf"; done
    cp "$1/nova/nova-c1.conf" "$1/nova/nova.conf"
}

# The driver is Nova's own that pretends, and can be told to fail: `compute.py`.
# Many machines at once on two hypervisors: no quotas, no overcommitment, and no waiting for periodic tasks. A service
# that is dead is missed soon.
nova_configuration() {  # FOLDER PORT HOST
    cat <<END
[DEFAULT]
state_path=$1/nova/$3
instances_path=$1/nova/$3/instances
my_ip=127.0.0.1
host=$3
transport_url=rabbit://guest:guest@127.0.0.1:$(($2 + 6))/
compute_driver=fake.FailingDriver
cpu_allocation_ratio=1.0
ram_allocation_ratio=1.0
disk_allocation_ratio=1.0
reserved_host_memory_mb=0
max_concurrent_builds=0
running_deleted_instance_poll_interval=0
report_interval=2
service_down_time=15
heal_instance_info_cache_interval=-1
[oslo_concurrency]
lock_path=$1/nova/locks
[api]
auth_strategy=keystone
[api_database]
connection=$mysql/nova_api
[database]
connection=$mysql/nova
[quota]
instances=-1
cores=-1
ram=-1
[conductor]
workers=1
[scheduler]
workers=1
discover_hosts_in_cells_interval=2
$tokens
[service_user]
send_service_user_token=true
$account
[placement]
$account
[glance]
api_servers=http://127.0.0.1:$(($2 + 2))
[neutron]
$account
[vnc]
enabled=False
END
}

clouds() {  # PORT
    echo "clouds:"
    for cloud in tests:admin:admin:x tenant:tenant:tenant:tenant; do
        IFS=: read -r name project user password <<END
$cloud
END
        cat <<END
  $name:
    region_name: tests
    identity_endpoint_override: http://127.0.0.1:$1/v3
    auth:
      auth_url: http://127.0.0.1:$1/v3
      username: $user
      password: $password
      project_name: $project
      user_domain_id: default
      project_domain_id: default
END
    done
}
