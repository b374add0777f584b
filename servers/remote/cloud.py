"""Whose cloud a server stands in, by what its firmware says of itself (DMI): no network, no root."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

# Files of /sys/class/dmi/id that everybody may read.
FIELDS = (
    "sys_vendor",
    "product_name",
    "board_vendor",
    "bios_vendor",
    "bios_version",
    "chassis_vendor",
    "chassis_asset_tag",
)
SCRIPT = f"cd /sys/class/dmi/id && grep -s . {' '.join(FIELDS)}"

LABELS = {
    "alibaba": "Alibaba Cloud",
    "aws": "Amazon EC2",
    "azure": "Microsoft Azure",
    "cloudsigma": "CloudSigma",
    "digitalocean": "DigitalOcean",
    "exoscale": "Exoscale",
    "google": "Google Cloud",
    "hetzner": "Hetzner Cloud",
    "huawei": "Huawei Cloud",
    "linode": "Linode (Akamai)",
    "opentelekom": "Open Telekom Cloud",
    "oracle": "Oracle Cloud",
    "scaleway": "Scaleway",
    "tencent": "Tencent Cloud",
    "upcloud": "UpCloud",
    "vultr": "Vultr",
}

# (slug, field, pattern), as cloud-init's ds-identify and insights-core know them. Only what nobody else's firmware
# says: "Google" alone is also a Chromebook, "Microsoft Corporation" any Hyper-V, "OpenStack Foundation" any OpenStack,
# OVH's among them.
_SIGNS = (
    ("alibaba", "sys_vendor", "Alibaba Cloud"),
    ("alibaba", "product_name", "Alibaba Cloud ECS"),
    ("aws", "sys_vendor", "Amazon EC2"),
    ("aws", "bios_vendor", "Amazon EC2"),
    ("aws", "bios_version", "*.amazon"),  # the older machines, on Xen
    ("azure", "chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"),
    ("cloudsigma", "product_name", "CloudSigma"),
    ("digitalocean", "sys_vendor", "DigitalOcean"),
    ("exoscale", "product_name", "Exoscale*"),
    ("google", "product_name", "Google Compute Engine"),
    ("hetzner", "sys_vendor", "Hetzner"),
    ("huawei", "chassis_asset_tag", "HUAWEICLOUD"),
    ("linode", "sys_vendor", "Linode"),
    ("linode", "sys_vendor", "Akamai*"),
    ("opentelekom", "chassis_asset_tag", "OpenTelekomCloud"),
    ("oracle", "chassis_asset_tag", "OracleCloud.com"),
    ("scaleway", "sys_vendor", "Scaleway"),
    ("tencent", "sys_vendor", "Tencent Cloud"),
    ("upcloud", "sys_vendor", "UpCloud"),
    ("vultr", "sys_vendor", "Vultr"),
)


def recognise(dmi: Mapping[str, str]) -> str:
    """A key of LABELS; "" when nothing tells, or when two things tell differently. dmi: field -> text."""
    found = {slug for slug, field, pattern in _SIGNS if fnmatchcase(dmi.get(field, ""), pattern)}
    return found.pop() if len(found) == 1 else ""


def read(said: str) -> dict[str, str]:
    """What SCRIPT printed, as field -> text."""
    pairs = (line.partition(":") for line in said.split("\n"))
    return {field: text.strip() for field, colon, text in pairs if colon and field in FIELDS}


def label(slug: str) -> str:
    """ "" for a cloud nobody knows."""
    return LABELS.get(slug, "")
