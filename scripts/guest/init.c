// SPDX-License-Identifier: GPL-2.0-only
/*
 * /init of the laboratory's guests, built on the kernel's own nolibc.
 *
 * It mounts the usual file systems, lets real devices move data, shows what
 * the kernel says about CMA and DMA memory, ends with one marker line and
 * resets the machine (QEMU runs with -no-reboot).
 *
 * What it does is chosen by dotted words on the kernel command line, which
 * the kernel itself ignores. They are not put after "--": CONFIG_CMDLINE_EXTEND
 * appends its text to the very end, so it would become arguments of init.
 *
 *	guest.dmatest=DEVICE:COPIES:CHANNELS	memcpy through a dmaengine
 *	guest.disk=NODE:TRANSFERS		write and verify a disk, destroys it
 *	guest.rebind=BUS/DRIVER/DEVICE:ROUNDS	unbind and bind, watch for leaks
 *	guest.dump				the DMA API debug dump
 *	guest.fill=N[:MIB]			fill the memory, at most MIB of it,
 *						and check what is in it; of each
 *						MiB, 1/N gets a pattern
 *	guest.areas				take every CMA area, give it back
 *	guest.interactive			a tiny prompt at the end
 *
 * Everything it reports goes through /dev/kmsg: one record is one line of the
 * console, in order with the kernel's messages and never torn by them. The
 * form is "guest: SECTION: TEXT". The words are obeyed in their order.
 */

#include <linux/limits.h>

#define RECORD_MAX	900	/* of the 1 KiB that a record may take */
#define DISK_BLOCK	4096

#define PAGE		4096
#define WORDS		(PAGE / sizeof(uint64_t))
#define FILL_PAGES	16			/* written at once */
#define FILL_STRIDE	(1 << 20)
#define FILL_FILE	(256 << 20)		/* without O_LARGEFILE: below 2 GiB */
#define FILL_FILES	64
#define FILL_LEAVE	(10 << 10)		/* KiB that the kernel keeps */
#define AREAS_MAX	32
#define SETTLE_MS	3000	/* for work that a driver left to a kthread */
#define SETTLE_STEP_MS	50
#define REBIND_BROKEN	5	/* bad rounds until the rest is not tried */
#define GCOV_CHUNK	400	/* bytes in a record */
#define CMA_FREE_SLACK	64	/* pages at most: see cma_free_slack() */

static int kmsg = -1;
static unsigned int failures;

static void say(const char *section, const char *fmt, ...)
{
	char text[RECORD_MAX];
	va_list args;
	int len;

	len = snprintf(text, sizeof(text), "<1>guest: %s: ", section);
	va_start(args, fmt);
	len += vsnprintf(text + len, sizeof(text) - len, fmt, args);
	va_end(args);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	if (kmsg < 0 || write(kmsg, text, len) < 0)
		write(1, text, len);
}

static void fail(const char *section, const char *what)
{
	failures++;
	say(section, "FAILED: %s (errno %d)", what, errno);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret < 0 ? -1 : 0;
}

/* The start of a file, without the newline at its end; -1 if unreadable. */
static int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		return -1;
	while (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return len;
}

static bool wanted(const char *line, const char *const *words)
{
	if (!words)
		return true;
	for (; *words; words++) {
		if (strstr(line, *words))
			return true;
	}
	return false;
}

/* Each line of a file (those with one of @words in it) as one record. */
static void say_lines(const char *section, const char *path,
		      const char *const *words)
{
	char buf[2048], line[RECORD_MAX - 64];
	size_t used = 0;
	ssize_t len;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		say(section, "absent: %s", path);
		return;
	}
	say(section, "begin");
	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < len; i++) {
			if (buf[i] != '\n' && used < sizeof(line) - 1) {
				line[used++] = buf[i];
				continue;
			}
			line[used] = '\0';
			if (used && wanted(line, words))
				say(section, "%s", line);
			used = 0;
			if (buf[i] != '\n')
				line[used++] = buf[i];
		}
	}
	if (used) {
		line[used] = '\0';
		if (wanted(line, words))
			say(section, "%s", line);
	}
	close(fd);
	say(section, len < 0 ? "FAILED: read error" : "end");
	if (len < 0)
		failures++;
}

/* Names in a folder, sorted by nothing; calls @each with path and name. */
static void for_each_name(const char *folder,
			  void (*each)(const char *folder, const char *name))
{
	struct dirent entry, *result;
	DIR *dir = opendir(folder);

	if (!dir)
		return;
	while (!readdir_r(dir, &entry, &result) && result) {
		if (entry.d_name[0] != '.')
			each(folder, entry.d_name);
	}
	closedir(dir);
}

static void say_sysfs_file(const char *folder, const char *name)
{
	char path[PATH_MAX], value[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (read_file(path, value, sizeof(value)) >= 0)
		say("sysfs", "%s/%s = %s", strrchr(folder, '/') + 1, name,
		    value);
}

static void say_sysfs_area(const char *folder, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	say("sysfs", "area %s", name);
	for_each_name(path, say_sysfs_file);
}

static void say_heap(const char *, const char *name)
{
	say("heap", "%s", name);
}

static void say_debugfs_area(const char *folder, const char *name)
{
	char path[PATH_MAX], base[64], count[64];

	snprintf(path, sizeof(path), "%s/%s/base_pfn", folder, name);
	if (read_file(path, base, sizeof(base)) < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s/count", folder, name);
	if (read_file(path, count, sizeof(count)) < 0)
		return;
	say("areas", "%s base_pfn %s pages %s", name, base, count);
}

static void say_table(const char *folder, const char *name)
{
	char path[PATH_MAX], section[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	snprintf(section, sizeof(section), "table-%s", name);
	say_lines(section, path, NULL);
}

/* A device as rules of cma_map= see it: bus, name, node in the device tree. */
static void say_device(const char *folder, const char *name)
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *bus = folder + strlen("/sys/bus/");
	const char *node = NULL;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/%s/of_node", folder, name);
	len = readlink(path, link, sizeof(link) - 1);
	if (len > 0) {
		link[len] = '\0';
		node = strstr(link, "/devicetree/base");
	}
	say("device", "%.*s %s %s", (int)(strchr(bus, '/') - bus), bus, name,
	    node ? node + strlen("/devicetree/base") : "-");
}

static void say_devices_of_bus(const char *folder, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/devices", folder, name);
	for_each_name(path, say_device);
}

/* "a:b:c" split in place at its last @count - 1 colons. */
static int split(char *word, char **field, int count)
{
	int n = count;

	while (--n > 0) {
		char *colon = strrchr(word, ':');

		if (!colon)
			return -1;
		*colon = '\0';
		field[n] = colon + 1;
	}
	field[0] = word;
	return 0;
}

static const char *const dmatest = "/sys/module/dmatest/parameters";

static int set_dmatest(const char *name, const char *value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dmatest, name);
	return write_file(path, value);
}

/* dmatest prints one summary line per channel into the kernel log. */
static void run_dmatest(char *word)
{
	char path[PATH_MAX], target[PATH_MAX], name[32], value[16], done[16];
	int channels, copies, configured = 0;
	char *field[3];

	if (split(word, field, 3) < 0) {
		fail("dmatest", "guest.dmatest=DEVICE:COPIES:CHANNELS expected");
		return;
	}
	copies = atoi(field[1]);
	channels = atoi(field[2]);
	if (copies < 1 || channels < 1) {
		fail("dmatest", "needs at least one copy and one channel");
		return;
	}
	snprintf(value, sizeof(value), "%d",
		 (copies + channels - 1) / channels);
	if (set_dmatest("iterations", value) ||
	    set_dmatest("device", field[0])) {
		fail("dmatest", "dmatest is not in this kernel");
		return;
	}
	for (int i = 0; i < 64 && configured < channels; i++) {
		ssize_t len;

		snprintf(name, sizeof(name), "dma%dchan%d", i / 16, i % 16);
		snprintf(path, sizeof(path), "/sys/class/dma/%s/device", name);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (strcmp(strrchr(target, '/') + 1, field[0]))
			continue;
		if (!set_dmatest("channel", name))
			configured++;
	}
	say("dmatest", "device %s channels %d iterations %s each", field[0],
	    configured, value);
	if (!configured) {
		fail("dmatest", "no channel of this device");
		return;
	}
	if (set_dmatest("run", "1")) {
		fail("dmatest", "cannot start");
		return;
	}
	/* reading "wait" blocks until all threads are done */
	snprintf(path, sizeof(path), "%s/wait", dmatest);
	if (read_file(path, done, sizeof(done)) < 0)
		fail("dmatest", "cannot wait");
	else
		say("dmatest", "finished");
}

static uint32_t pattern(uint32_t block, uint32_t word)
{
	return (block + 1) * 2654435761u ^ word * 40503u;
}

/*
 * Write @transfers / 2 blocks past the page cache, then read them back and
 * compare. Blocks of one page keep NVMe from needing PRP lists.
 */
static void run_disk(char *word)
{
	unsigned int written = 0, verified = 0, wrong = 0;
	uint32_t *buf;
	char *field[2];
	int fd, blocks;

	if (split(word, field, 2) < 0) {
		fail("disk", "guest.disk=NODE:TRANSFERS expected");
		return;
	}
	blocks = (atoi(field[1]) + 1) / 2;
	fd = open(field[0], O_RDWR | O_DIRECT | O_SYNC);
	for (int i = 0; fd < 0 && i < 50; i++) {	/* probed asynchronously */
		msleep(100);
		fd = open(field[0], O_RDWR | O_DIRECT | O_SYNC);
	}
	if (fd < 0) {
		fail("disk", "cannot open the disk");
		return;
	}
	buf = mmap(NULL, DISK_BLOCK, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED) {
		fail("disk", "no memory");
		close(fd);
		return;
	}
	for (int b = 0; b < blocks; b++) {
		for (int i = 0; i < DISK_BLOCK / 4; i++)
			buf[i] = pattern(b, i);
		if (write(fd, buf, DISK_BLOCK) != DISK_BLOCK)
			break;
		written++;
	}
	if (lseek(fd, 0, SEEK_SET) != 0)
		fail("disk", "cannot seek");
	for (unsigned int b = 0; b < written; b++) {
		memset(buf, 0x5a, DISK_BLOCK);
		if (read(fd, buf, DISK_BLOCK) != DISK_BLOCK)
			break;
		for (int i = 0; i < DISK_BLOCK / 4; i++) {
			if (buf[i] != pattern(b, i)) {
				wrong++;
				break;
			}
		}
		verified++;
	}
	close(fd);
	say("disk", "summary %u written, %u read, %u wrong", written, verified,
	    wrong);
	if (written != (unsigned int)blocks || verified != written || wrong)
		fail("disk", "not every block came back as it was written");
}

/* A figure of /proc/meminfo in KiB, -1 if it is not there. */
static long meminfo(const char *name)
{
	static char buf[4096];
	size_t len = strlen(name);
	char *line, *next;

	if (read_file("/proc/meminfo", buf, sizeof(buf)) < 0)
		return -1;
	for (line = buf; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strncmp(line, name, len) || line[len] != ':')
			continue;
		for (line += len + 1; *line == ' '; line++)
			;	/* atol() of nolibc does not skip it */
		return atol(line);
	}
	return -1;
}

/*
 * Whether there is memory to fill. What cannot be moved needs pages of low
 * memory outside of all areas, and who finds none ends in the OOM killer, so
 * both figures count.
 */
static bool memory_left(void)
{
	static int far_away;	/* that many more MiB are surely there */
	long available, low, other;

	if (far_away-- > 0)
		return true;
	available = meminfo("MemAvailable");
	low = meminfo("LowFree");
	other = meminfo("MemFree") - meminfo("CmaFree");
	if (low >= 0 && low < other)
		other = low;
	if (available < other)
		other = available;
	far_away = (other - FILL_LEAVE) >> 12;	/* a quarter of it */
	return other > FILL_LEAVE;
}

static uint64_t fill_want[FILL_PAGES][WORDS], fill_got[FILL_PAGES][WORDS];

/* Every page is different in every other page's words as well as in its own. */
static void fill_init(void)
{
	uint64_t x = 0x9e3779b97f4a7c15ull;

	for (int p = 0; p < FILL_PAGES; p++) {
		for (size_t i = 0; i < WORDS; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			fill_want[p][i] = x;
		}
	}
}

/* The pages from number @first on; a stamp in every 64 bytes tells them apart. */
static void fill_stamp(uint32_t first)
{
	for (uint32_t p = 0; p < FILL_PAGES; p++) {
		uint64_t stamp = (uint64_t)~(first + p) << 32 | (first + p);

		for (size_t i = 0; i < WORDS; i += 8)
			fill_want[p][i] = stamp;
	}
}

static int fill_open(int file, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/fill/%d", file);
	return open(path, flags, 0600);
}

static bool fill_same(int page)
{
	uint64_t differs = 0;

	for (size_t i = 0; i < WORDS; i++)
		differs |= fill_want[page][i] ^ fill_got[page][i];
	return !differs;
}

/*
 * Pages that are in the file, but that nobody has written to: memory is full
 * sooner. nolibc has no fallocate().
 */
static int fill_reserve(int fd, uint32_t offset, uint32_t len)
{
	return __sysret(__nolibc_syscall6(__NR_fallocate, fd, 0, offset, 0,
					  len, 0));
}

/*
 * Write one file, of at most @most bytes; the number of bytes up to which it is
 * full, -1 on errors.
 */
static long fill_write(int file, uint32_t patterned, long most)
{
	uint32_t number = (uint32_t)file * (FILL_FILE / PAGE);
	int fd = fill_open(file, O_RDWR | O_CREAT);
	long at;

	if (fd < 0)
		return -1;
	for (at = 0; at < most && memory_left(); at += FILL_STRIDE) {
		uint32_t n;

		for (n = 0; n < patterned; n += sizeof(fill_want)) {
			fill_stamp(number + (at + n) / PAGE);
			if (write(fd, fill_want, sizeof(fill_want)) !=
			    sizeof(fill_want))
				goto failed;
		}
		if (n == FILL_STRIDE)
			continue;
		if (fill_reserve(fd, at + n, FILL_STRIDE - n) < 0 ||
		    lseek(fd, at + FILL_STRIDE, SEEK_SET) < 0)
			goto failed;
	}
	close(fd);
	return at;
failed:
	close(fd);
	return -1;
}

/* Compare what was written to the first @end bytes; the number of bad pages. */
static unsigned int fill_verify(int file, long end, uint32_t patterned)
{
	uint32_t number = (uint32_t)file * (FILL_FILE / PAGE);
	unsigned int wrong = 0;
	int fd = fill_open(file, O_RDONLY);

	for (long at = 0; at < end; at += FILL_STRIDE) {
		if (lseek(fd, at, SEEK_SET) < 0)
			return wrong + 1;
		for (uint32_t n = 0; n < patterned; n += sizeof(fill_want)) {
			fill_stamp(number + (at + n) / PAGE);
			if (read(fd, fill_got, sizeof(fill_got)) !=
			    sizeof(fill_got))
				return wrong + 1;
			for (int p = 0; p < FILL_PAGES; p++)
				wrong += !fill_same(p);
		}
	}
	close(fd);
	return wrong;
}

/*
 * Fill the memory through tmpfs, read it back, give it back. With @word "4", of
 * each MiB only a quarter is written; that spares time where there is much of it.
 */
static void run_fill(const char *word)
{
	const char *colon = strchr(word, ':');
	long most = colon ? atol(colon + 1) << 10 : LONG_MAX;	/* KiB */
	int share = atoi(word);
	uint32_t patterned;
	long end[FILL_FILES], full = 0, available = meminfo("MemAvailable");
	unsigned int wrong = 0;
	char path[32];
	int files;

	if (share < 1 || share > 16 || most < 1) {
		fail("fill", "guest.fill=1 to 16, or 1:MIB to 16:MIB, expected");
		return;
	}
	patterned = FILL_STRIDE / share & ~(sizeof(fill_want) - 1);
	mkdir("/fill", 0755);
	if (mount("tmpfs", "/fill", "tmpfs", 0, "size=100%")) {
		fail("fill", "cannot mount");
		return;
	}
	fill_init();
	for (files = 0; files < FILL_FILES && full < most && memory_left();
	     files++) {
		long left = most - full;	/* KiB */

		end[files] = fill_write(files, patterned, left < FILL_FILE >> 10 ?
					left << 10 : FILL_FILE);
		if (end[files] < 0) {
			fail("fill", "a write failed with memory left");
			end[files++] = 0;
			break;
		}
		full += end[files] >> 10;
		say("fill", "wrote %ld KiB", full);
	}
	say("fill", "available %ld KiB, filled %ld KiB, left %ld KiB, of CMA %ld KiB",
	    available, full, meminfo("MemAvailable"), meminfo("CmaFree"));
	for (int file = 0; file < files; file++) {
		wrong += fill_verify(file, end[file], patterned);
		say("fill", "read file %d", file);
	}
	say("fill", "wrong pages %u", wrong);
	if (wrong)
		fail("fill", "memory did not keep what was written to it");
	for (int file = 0; file < files; file++) {
		snprintf(path, sizeof(path), "/fill/%d", file);
		if (unlink(path))
			fail("fill", "cannot remove a file");
	}
}

static struct area {
	char path[PATH_MAX];
	long count, used, taken;
} areas[AREAS_MAX];
static unsigned int nr_areas;

static long area_read(const struct area *area, const char *name)
{
	char path[PATH_MAX], value[32];

	snprintf(path, sizeof(path), "%s/%s", area->path, name);
	return read_file(path, value, sizeof(value)) < 0 ? -1 : atol(value);
}

static int area_write(const struct area *area, const char *name, long pages)
{
	char path[PATH_MAX], value[32];

	snprintf(path, sizeof(path), "%s/%s", area->path, name);
	snprintf(value, sizeof(value), "%ld", pages);
	return write_file(path, value);
}

static void add_area(const char *folder, const char *name)
{
	struct area *area = &areas[nr_areas];

	if (nr_areas == AREAS_MAX) {
		fail("take", "too many areas");
		return;
	}
	snprintf(area->path, sizeof(area->path), "%s/%s", folder, name);
	nr_areas++;
}

static void take_area(struct area *area)
{
	const char *name = strrchr(area->path, '/') + 1;
	long want;

	area->count = area_read(area, "count");
	area->used = area_read(area, "used");
	/* an area that a device uses is taken as far as it goes in one piece */
	want = area->used ? area_read(area, "maxchunk") : area->count;
	if (area->count <= 0 || area->used < 0 || want <= 0 ||
	    area->used + want > area->count) {
		say("take", "FAILED: %s: %ld pages, %ld used, %ld to take",
		    name, area->count, area->used, want);
		failures++;
		return;
	}
	if (area_write(area, "alloc", want)) {
		say("take", "FAILED: %s: %ld pages cannot be taken (errno %d)",
		    name, want, errno);
		failures++;
		return;
	}
	area->taken = want;
	say("take", "%s pages %ld used %ld taken %ld", name, area->count,
	    area->used, want);
	if (area_read(area, "used") != area->used + want) {
		say("take", "FAILED: %s: used is %ld afterwards", name,
		    area_read(area, "used"));
		failures++;
	}
}

static void give_area_back(struct area *area)
{
	const char *name = strrchr(area->path, '/') + 1;

	if (!area->taken)
		return;
	if (area_write(area, "free", area->taken) ||
	    area_read(area, "used") != area->used) {
		say("take", "FAILED: %s: used is %ld after all was given back, it was %ld",
		    name, area_read(area, "used"), area->used);
		failures++;
	}
}

/* Take all areas at once, each as one piece, and give them back. */
static void run_areas(void)
{
	for_each_name("/sys/kernel/debug/cma", add_area);
	for (unsigned int i = 0; i < nr_areas; i++)
		take_area(&areas[i]);
	say("take", "all taken, CmaFree %ld KiB", meminfo("CmaFree"));
	for (unsigned int i = 0; i < nr_areas; i++)
		give_area_back(&areas[i]);
}

/*
 * What is taken: pages of each area, entries of the DMA API debugging. The
 * former is the bitmap of the CMA core, the latter the calls of the drivers.
 */
struct held {
	int areas;
	char name[AREAS_MAX][64];
	long used[AREAS_MAX];
	long mappings;
};

static struct held *counting;

static long read_number(const char *folder, const char *name, const char *file)
{
	char path[PATH_MAX], value[32];

	snprintf(path, sizeof(path), "%s/%s%s%s", folder, name,
		 *name ? "/" : "", file);
	return read_file(path, value, sizeof(value)) > 0 ? atol(value) : -1;
}

static void count_area(const char *folder, const char *name)
{
	long used = read_number(folder, name, "used");

	if (used < 0 || counting->areas == AREAS_MAX)
		return;
	strlcpy(counting->name[counting->areas], name,
		sizeof(counting->name[0]));
	counting->used[counting->areas++] = used;
}

static void count_held(struct held *held)
{
	static const char dma_api[] = "/sys/kernel/debug/dma-api";

	memset(held, 0, sizeof(*held));
	counting = held;
	for_each_name("/sys/kernel/debug/cma", count_area);
	held->mappings = read_number(dma_api, "", "nr_total_entries") -
			 read_number(dma_api, "", "num_free_entries");
}

/* Pages more than @before, the area with the largest difference counts. */
static long difference(const struct held *before, const struct held *now)
{
	long largest = now->mappings - before->mappings;

	for (int i = 0; i < now->areas; i++) {
		long more = now->used[i] - before->used[i];

		if (labs(more) > labs(largest))
			largest = more;
	}
	return largest;
}

/* Count until it is as @before, or for SETTLE_MS. */
static bool settles(const struct held *before, struct held *now)
{
	for (int ms = 0; ; ms += SETTLE_STEP_MS) {
		count_held(now);
		if (!difference(before, now))
			return true;
		if (ms >= SETTLE_MS)
			return false;
		msleep(SETTLE_STEP_MS);
	}
}

/* Count until nothing has changed for five times SETTLE_STEP_MS. */
static void count_at_rest(struct held *held)
{
	struct held now;
	int same = 0;

	count_held(held);
	for (int ms = 0; ms < SETTLE_MS && same < 5; ms += SETTLE_STEP_MS) {
		msleep(SETTLE_STEP_MS);
		count_held(&now);
		same = difference(held, &now) ? 0 : same + 1;
		*held = now;
	}
}

/*
 * CmaFree in pages. Movable pages of anybody may lie in an area, and each
 * processor keeps some free pages and some of the counting to itself, so it
 * may differ a little from time to time.
 */
static long cma_free(void)
{
	long kib = meminfo("CmaFree");

	return kib < 0 ? -1 : kib / 4;
}

/* Pages that may be missing: less than a leak of one in each round makes. */
static long cma_free_slack(int rounds)
{
	int half = (rounds - 1) / 2;

	return half < CMA_FREE_SLACK ? half : CMA_FREE_SLACK;
}

/* The most that CmaFree comes to within SETTLE_MS, or @enough of it. */
static long cma_free_at_rest(long enough)
{
	long best = cma_free();

	for (int ms = 0; ms < SETTLE_MS && best < enough; ms += SETTLE_STEP_MS) {
		long now;

		msleep(SETTLE_STEP_MS);
		now = cma_free();
		if (now > best)
			best = now;
	}
	return best;
}

static bool is_bound(const char *bus, const char *device)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/driver", bus,
		 device);
	return readlink(path, target, sizeof(target)) >= 0;
}

/* Write the device's name to "bind" or "unbind" of its driver. */
static bool rebind(const char *bus, const char *driver, const char *device,
		   const char *how)
{
	const bool bound = !strcmp(how, "bind");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/%s/drivers/%s/%s", bus, driver,
		 how);
	return !write_file(path, device) && is_bound(bus, device) == bound;
}

/*
 * The state after the first round is the measure: what the later rounds add,
 * bound or unbound, has leaked. What is held more when bound than when
 * unbound is shown, so that a driver that takes nothing proves nothing.
 */
static void run_rebind(char *word)
{
	static struct held bound, unbound, now;
	long free_before = -1, free_after = -1, leaked = 0;
	int rounds, round, broken = 0;
	char *field[2], *bus, *driver, *device;

	if (split(word, field, 2) < 0 || !(driver = strchr(field[0], '/')) ||
	    !(device = strchr(driver + 1, '/'))) {
		fail("rebind", "guest.rebind=BUS/DRIVER/DEVICE:ROUNDS expected");
		return;
	}
	bus = field[0];
	*driver++ = '\0';
	*device++ = '\0';
	rounds = atoi(field[1]);
	if (rounds < 2) {
		fail("rebind", "needs at least two rounds");
		return;
	}
	for (int ms = 0; !is_bound(bus, device) && ms < 5000; ms += 100)
		msleep(100);	/* probed asynchronously */
	if (!is_bound(bus, device)) {
		fail("rebind", "the device has no driver");
		return;
	}
	for (round = 0; round < rounds && broken < REBIND_BROKEN; round++) {
		bool good = rebind(bus, driver, device, "unbind");

		if (!good)
			fail("rebind", "cannot unbind");
		if (!round) {
			count_at_rest(&unbound);
		} else if (!settles(&unbound, &now)) {
			leaked = difference(&unbound, &now);
			good = false;
		}
		if (!rebind(bus, driver, device, "bind")) {
			fail("rebind", "cannot bind");
			good = false;
		}
		if (!round) {
			count_at_rest(&bound);
			free_before = cma_free_at_rest(LONG_MAX);
		} else if (!settles(&bound, &now)) {
			leaked = difference(&bound, &now);
			good = false;
		}
		if (!good)
			broken++;
		if (!good || (round + 1) % 100 == 0)
			say("rebind", "round %d %s, %ld more held", round + 1,
			    good ? "good" : "bad", leaked);
	}
	if (free_before >= 0)
		free_after = cma_free_at_rest(free_before);
	for (int i = 0; i < bound.areas; i++)
		say("rebind", "area %s held %ld", bound.name[i],
		    bound.used[i] - unbound.used[i]);
	say("rebind", "mappings held %ld", bound.mappings - unbound.mappings);
	say("rebind", "summary %s %d of %d rounds, %d bad, %ld leaked, "
	    "CmaFree %ld then %ld pages", device, round, rounds, broken,
	    leaked, free_before, free_after);
	if (broken || round < rounds)
		fail("rebind", "not every round left things as before");
	if (free_before < 0 || free_after < free_before - cma_free_slack(round))
		fail("rebind", "CmaFree did not come back");
}

static void list_name(const char *folder, const char *name)
{
	printf("%s/%s\n", folder, name);
}

static void show(const char *path)
{
	char buf[1024];
	ssize_t len;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		printf("%s: errno %d\n", path, errno);
		return;
	}
	while ((len = read(fd, buf, sizeof(buf))) > 0)
		write(1, buf, len);
	close(fd);
}

static void prompt(void)
{
	char line[512];

	printf("\nNot a shell: cat FILE, ls FOLDER, write FILE TEXT, quit\n");
	for (;;) {
		char *space, *file, *text;

		printf("guest# ");
		if (!fgets(line, sizeof(line), stdin))
			return;
		for (text = line; *text; text++) {
			if (*text == '\r' || *text == '\n')
				*text = '\0';
		}
		space = strchr(line, ' ');
		file = space ? space + 1 : (char *)"/";
		if (space)
			*space = '\0';
		if (!strcmp(line, "quit") || !strcmp(line, "exit")) {
			return;
		} else if (!strcmp(line, "cat")) {
			show(file);
		} else if (!strcmp(line, "ls")) {
			for_each_name(file, list_name);
		} else if (!strcmp(line, "write")) {
			text = strchr(file, ' ');
			if (!text) {
				printf("write FILE TEXT\n");
				continue;
			}
			*text++ = '\0';
			if (write_file(file, text))
				printf("%s: errno %d\n", file, errno);
		} else if (line[0]) {
			printf("cat FILE, ls FOLDER, write FILE TEXT, quit\n");
		}
	}
}

/* What a file of gcov has, as hexadecimal digits: "file PATH", "data 6164…". */
static void say_gcov_file(const char *path)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char data[GCOV_CHUNK];
	char text[2 * sizeof(data) + 1];
	ssize_t len;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		fail("gcov", path);
		return;
	}
	say("gcov", "file %s", path);
	while ((len = read(fd, data, sizeof(data))) > 0) {
		for (ssize_t i = 0; i < len; i++) {
			text[2 * i] = digits[data[i] >> 4];
			text[2 * i + 1] = digits[data[i] & 15];
		}
		text[2 * len] = '\0';
		say("gcov", "data %s", text);
	}
	if (len < 0)
		fail("gcov", path);
	close(fd);
}

/* The tree has the folders of the build, with links back to it. */
static void say_gcov(const char *folder, const char *name)
{
	const char *suffix = strrchr(name, '.');
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (suffix && !strcmp(suffix, ".gcda"))
		say_gcov_file(path);
	else if (strcmp(name, "reset") && (!suffix || strcmp(suffix, ".gcno")))
		for_each_name(path, say_gcov);
}

static void mount_or_fail(const char *type, const char *folder)
{
	mkdir(folder, 0755);
	if (mount(type, folder, type, 0, NULL))
		fail("mount", folder);
}

int main(void)
{
	static const char *const memory[] = { "Mem", "Cma", "Low",
					      "High", NULL };
	static char cmdline[4096];
	bool interactive = false, dump = false, take = false, gcov = false;
	char *word, *next, *fill = NULL;

	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	kmsg = open("/dev/kmsg", O_WRONLY);
	mount_or_fail("proc", "/proc");
	mount_or_fail("sysfs", "/sys");
	mount_or_fail("debugfs", "/sys/kernel/debug");
	mount_or_fail("tmpfs", "/tmp");

	say("start", "user space reached");
	if (read_file("/proc/cmdline", cmdline, sizeof(cmdline)) < 0)
		fail("start", "no /proc/cmdline");
	say_lines("cmdline", "/proc/cmdline", NULL);

	for (word = cmdline; word && *word; word = next) {
		next = strchr(word, ' ');
		if (next)
			*next++ = '\0';
		if (!strncmp(word, "guest.dmatest=", 14))
			run_dmatest(word + 14);
		else if (!strncmp(word, "guest.disk=", 11))
			run_disk(word + 11);
		else if (!strncmp(word, "guest.rebind=", 13))
			run_rebind(word + 13);
		else if (!strncmp(word, "guest.fill=", 11))
			fill = word + 11;
		else if (!strcmp(word, "guest.areas"))
			take = true;
		else if (!strcmp(word, "guest.dump"))
			dump = true;
		else if (!strcmp(word, "guest.gcov"))
			gcov = true;
		else if (!strcmp(word, "guest.interactive"))
			interactive = true;
		else if (!strncmp(word, "guest.", 6))
			fail("start", word);
	}

	if (dump) {
		for_each_name("/sys/bus", say_devices_of_bus);
		say_lines("dump", "/sys/kernel/debug/dma-api/dump", NULL);
	}
	if (fill || take)
		say_lines("before", "/proc/meminfo", memory);
	if (fill)
		run_fill(fill);
	if (take)
		run_areas();
	say_lines("meminfo", "/proc/meminfo", memory);
	for_each_name("/sys/kernel/debug/cma", say_debugfs_area);
	for_each_name("/sys/kernel/mm/cma", say_sysfs_area);
	for_each_name("/sys/class/dma_heap", say_heap);
	for_each_name("/sys/kernel/debug/dma_contiguous", say_table);
	say_lines("iomem", "/proc/iomem", NULL);
	if (gcov) {
		say("gcov", "begin");
		for_each_name("/sys/kernel/debug/gcov", say_gcov);
		say("gcov", "end");
	}

	if (interactive)
		prompt();

	say("end", "%s, %u failures", failures ? "fail" : "pass", failures);
	/* the UARTs are polled by printk: nothing is left to flush */
	reboot(LINUX_REBOOT_CMD_RESTART);
	for (;;)
		msleep(1000);
}
