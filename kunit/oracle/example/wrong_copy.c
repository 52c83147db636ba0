// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver with two mistakes, for Documentation/cache-oracle.md.
 *
 * It copies memory through the first dmaengine that can. Its buffers are mapped
 * once and used again and again, as in many drivers. That is fine if each of them
 * is synchronised whenever it changes hands; wrong_copy.fixed=1 does so. Without, it
 * works in QEMU and on coherent machines, and loses data everywhere else.
 */

#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

#define SIZE	2048
#define COPIES	4

static bool fixed;
module_param(fixed, bool, 0444);

static int copy(struct dma_chan *channel, dma_addr_t to, dma_addr_t from)
{
	struct dma_async_tx_descriptor *tx;

	tx = dmaengine_prep_dma_memcpy(channel, to, from, SIZE,
				       DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!tx)
		return -ENOMEM;

	return dma_sync_wait(channel, dmaengine_submit(tx)) == DMA_COMPLETE ?
	       0 : -EIO;
}

static int copy_all(struct dma_chan *channel, u8 *source, u8 *target)
{
	struct device *dev = channel->device->dev;
	dma_addr_t from, to;
	int i, ret = 0;

	from = dma_map_single(dev, source, SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, from))
		return -EIO;
	to = dma_map_single(dev, target, SIZE, DMA_FROM_DEVICE);
	if (dma_mapping_error(dev, to)) {
		dma_unmap_single(dev, from, SIZE, DMA_TO_DEVICE);
		return -EIO;
	}

	for (i = 0; i < COPIES && !ret; i++) {
		if (fixed)
			dma_sync_single_for_cpu(dev, from, SIZE, DMA_TO_DEVICE);
		memset(source, i + 1, SIZE);
		if (fixed)
			dma_sync_single_for_device(dev, from, SIZE,
						   DMA_TO_DEVICE);

		ret = copy(channel, to, from);

		if (fixed)
			dma_sync_single_for_cpu(dev, to, SIZE, DMA_FROM_DEVICE);
		if (!ret && memchr_inv(target, i + 1, SIZE))
			ret = -EILSEQ;
		if (fixed)
			dma_sync_single_for_device(dev, to, SIZE,
						   DMA_FROM_DEVICE);
	}

	dma_unmap_single(dev, to, SIZE, DMA_FROM_DEVICE);
	dma_unmap_single(dev, from, SIZE, DMA_TO_DEVICE);

	return ret;
}

static int __init wrong_copy_init(void)
{
	u8 *source = kmalloc(SIZE, GFP_KERNEL);
	u8 *target = kmalloc(SIZE, GFP_KERNEL);
	struct dma_chan *channel;
	dma_cap_mask_t mask;
	int ret = -ENOMEM;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	channel = dma_request_chan_by_mask(&mask);
	if (IS_ERR(channel))
		ret = PTR_ERR(channel);
	else if (source && target)
		ret = copy_all(channel, source, target);
	pr_info("wrong_copy: %d copies: %d\n", COPIES, ret);

	if (!IS_ERR(channel))
		dma_release_channel(channel);
	kfree(target);
	kfree(source);

	return 0;
}
late_initcall(wrong_copy_init);
