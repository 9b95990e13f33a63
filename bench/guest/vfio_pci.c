/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_pci.c - a PCI configuration space as described state */
#include "vfio_pci.h"

#include <errno.h>
#include <string.h>

#define VENDOR  0x1b36 /* one that is given to virtual devices */
#define DEVICE  0x5f10
#define CLASS   0x12 /* a processing accelerator */
#define ADDRESS 0x10

static void put_le(uint8_t *at, uint32_t value, unsigned bytes)
{
    for (; bytes > 0; bytes--, value >>= 8)
        *at++ = (uint8_t)value;
}

void vfio_pci_reset(struct vfio_pci *pci, uint32_t base_address)
{
    memset(pci->config, 0, sizeof(pci->config));
    put_le(pci->config, VENDOR, 2);
    put_le(pci->config + 2, DEVICE, 2);
    put_le(pci->config + VFIO_PCI_COMMAND, 0x02 | VFIO_PCI_MASTER, 2);
    pci->config[0x08] = 1;
    pci->config[0x0b] = CLASS;
    put_le(pci->config + ADDRESS, base_address, 4);
}

bool vfio_pci_is_master(const struct vfio_pci *pci)
{
    return pci->config[VFIO_PCI_COMMAND] & VFIO_PCI_MASTER;
}

static bool pci_needed(void *opaque)
{
    return ((struct vfio_pci *)opaque)->present;
}

/* Vendor, device, revision, class, header type. */
static int pci_check(const void *copy, int version, struct ferry_error *err)
{
    static const uint8_t fixed[] = { 0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x0e };
    const struct vfio_pci *pci = copy;
    struct vfio_pci ours;

    vfio_pci_reset(&ours, 0);
    for (size_t i = 0; i < sizeof(fixed); i++)
        if (pci->config[fixed[i]] != ours.config[fixed[i]])
            return ferry_error_set(err, -EINVAL, "configuration byte 0x%02x is 0x%02x, and 0x%02x in the device here",
                                   fixed[i], pci->config[fixed[i]], ours.config[fixed[i]]);
    return 0;
}

static const struct ferry_field fields[] = { FERRY_BUFFER(config, struct vfio_pci), FERRY_END };

const struct ferry_state_desc vfio_pci_desc = {
    .name = "vfio-sim/pci",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct vfio_pci),
    .fields = fields,
    .hooks = { .needed = pci_needed, .check = pci_check },
};
