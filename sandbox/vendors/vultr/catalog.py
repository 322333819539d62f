"""What the emulated Vultr sells: regions, plans and Kubernetes versions.

Names and prices are those of Vultr's public lists; lists age, and nothing here is a promise.
"""

from typing import Any

VERSIONS = ["v1.36.2+1", "v1.36.1+1", "v1.35.5+1", "v1.34.3+1"]

_OPTIONS = [
    "ddos_protection",
    "block_storage_high_perf",
    "block_storage_storage_opt",
    "kubernetes",
    "load_balancers",
]

_CITIES = """
ams Amsterdam NL Europe
atl Atlanta US North_America
blr Bangalore IN Asia
bom Mumbai IN Asia
cdg Paris FR Europe
del Delhi_NCR IN Asia
dfw Dallas US North_America
ewr New_Jersey US North_America
fra Frankfurt DE Europe
hnl Honolulu US North_America
icn Seoul KR Asia
itm Osaka JP Asia
jnb Johannesburg ZA Africa
lax Los_Angeles US North_America
lhr London GB Europe
mad Madrid ES Europe
man Manchester GB Europe
mel Melbourne AU Australia
mex Mexico_City MX North_America
mia Miami US North_America
nrt Tokyo JP Asia
ord Chicago US North_America
sao São_Paulo BR South_America
scl Santiago CL South_America
sea Seattle US North_America
sgp Singapore SG Asia
sjc Silicon_Valley US North_America
sto Stockholm SE Europe
syd Sydney AU Australia
tlv Tel_Aviv IL Asia
waw Warsaw PL Europe
yto Toronto CA North_America
"""

# id, vCPUs, RAM in MB, disk in GB, bandwidth in GB a month, dollars a month
_PLANS = """
vc2-1c-1gb 1 1024 25 1024 5
vc2-1c-2gb 1 2048 55 2048 10
vc2-2c-2gb 2 2048 65 3072 15
vc2-2c-4gb 2 4096 80 3072 20
vc2-4c-8gb 4 8192 160 4096 40
vc2-6c-16gb 6 16384 320 5120 80
vc2-8c-32gb 8 32768 640 6144 160
vc2-16c-64gb 16 65536 1280 10240 320
vc2-24c-96gb 24 98304 1600 15360 640
vhf-1c-1gb 1 1024 32 1024 6
vhf-1c-2gb 1 2048 64 2048 12
vhf-2c-2gb 2 2048 80 3072 18
vhf-2c-4gb 2 4096 128 3072 24
vhf-3c-8gb 3 8192 256 4096 48
vhf-4c-16gb 4 16384 384 5120 96
vhf-6c-24gb 6 24576 448 6144 144
vhf-8c-32gb 8 32768 512 7168 192
vhp-1c-1gb-amd 1 1024 25 2048 6
vhp-1c-2gb-amd 1 2048 50 3072 12
vhp-2c-2gb-amd 2 2048 60 4096 18
vhp-2c-4gb-amd 2 4096 100 5120 24
vhp-4c-8gb-amd 4 8192 180 6144 48
vhp-4c-12gb-amd 4 12288 260 7168 72
vhp-8c-16gb-amd 8 16384 350 8192 96
vhp-12c-24gb-amd 12 24576 500 12288 144
vhp-1c-2gb-intel 1 2048 50 3072 12
vhp-2c-4gb-intel 2 4096 100 5120 24
vhp-4c-8gb-intel 4 8192 180 6144 48
vhp-8c-16gb-intel 8 16384 350 8192 96
voc-g-1c-4gb-30s-amd 1 4096 30 4096 30
voc-g-2c-8gb-50s-amd 2 8192 50 5120 60
voc-g-4c-16gb-80s-amd 4 16384 80 6144 120
voc-g-8c-32gb-160s-amd 8 32768 160 7168 240
"""


def _region(line: str) -> dict[str, Any]:
    code, city, country, continent = (part.replace("_", " ") for part in line.split())
    return {
        "id": code,
        "city": city,
        "country": country,
        "continent": continent,
        "options": _OPTIONS,
    }


def _plan(line: str) -> dict[str, Any]:
    plan, cpus, ram, disk, bandwidth, cost = line.split()
    return {
        "id": plan,
        "vcpu_count": int(cpus),
        "ram": int(ram),
        "disk": int(disk),
        "disk_count": 1,
        "bandwidth": int(bandwidth),
        "monthly_cost": int(cost),
        "type": plan.split("-")[0],
        "locations": sorted(REGIONS),
    }


REGIONS = {region["id"]: region for region in map(_region, _CITIES.split("\n")[1:-1])}
PLANS = {plan["id"]: plan for plan in map(_plan, _PLANS.split("\n")[1:-1])}


def parse_version(version: str) -> tuple[int, ...]:
    """``v1.35.5+1`` as (1, 35, 5, 1), to compare by."""
    return tuple(int(part) for part in version.lstrip("v").replace("+", ".").split("."))


def available_upgrades(current: str, versions: list[str]) -> list[str]:
    """The versions that a cluster of ``current`` can go to: newer, at most one minor ahead."""
    now = parse_version(current)
    return [
        version
        for version in versions
        if parse_version(version) > now and parse_version(version)[1] <= now[1] + 1
    ]
