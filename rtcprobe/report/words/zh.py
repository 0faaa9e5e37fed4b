"""The words of reports in Chinese (simplified), as people who run live rooms say them.

Facts:
    Services' documents and their users say 进房 for joining, 卡顿率 for the share of time in gaps, 上麦 for going on
    stage, 时延 for delay (ITU-T's Chinese editions: 嘴到耳时延, mouth-to-ear delay).

Rule: a key is the English text as reports write it, places in braces; a value has the same places, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["CHINESE", "CHINESE_SENTENCES"]

_SHARED: Final[Mapping[str, str]] = {
    "{whose}: {what}": "{whose}：{what}",
    " (advisory)": "（建议项）",
    # The enumeration comma (GB/T 15834-2011), which joins two as well as many.
    " and ": "、",
    # Behind a line of budget, which stays as it was written: Latin letters, and so a blank.
    " is {value}": " 为 {value}",
    " of result {number}": "（第 {number} 个结果）",
    ", and {count} more": "，另有 {count} 项",
    "; ": "；",
    "[95 % interval]": "[95% 区间]",
    "[open]": "[无界]",
    "achieved": "实际",
    "advisory": "建议项",
    "audio": "音频",
    "budget": "指标要求",
    "callee": "被叫",
    "caller": "主叫",
    "definition": "定义",
    "definition and source": "定义与出处",
    "engine model": "模型引擎",
    "everybody": "所有人",
    "fail": "不合格",
    "figure": "指标",
    "inconclusive": "无法判定",
    "interrupted": "已中断",
    "invalid": "无效",
    "joins": "进房",
    "leaves": "离开",
    "lost": "丢失",
    "markers": "标记",
    "mean": "均值",
    "messages": "消息",
    "frames": "帧",
    "measured": "实测值",
    "met": "达标",
    "missed": "未达标",
    "never": "从未",
    "no": "否",
    "none": "无",
    "not measured": "未测到",
    ", of {things}": "，基于{things}",
    "nothing was measured": "没有测到数据",
    "open": "无界",
    "other": "其他",
    "out of reach": "无法达到",
    "pass": "合格",
    "real clock": "真实时钟",
    "requested": "设定",
    "requested → achieved": "设定 → 实际",
    "seed {seed}": "种子 {seed}",
    "slowest": "最慢",
    "speaks": "发言",
    "target {target}": "目标 {target}",
    "there and back": "往返",
    "total": "合计",
    "typical": "典型",
    "undecided": "未定",
    "unknown": "未知",
    "verdict": "结论",
    "video": "视频",
    "virtual clock": "虚拟时钟",
    "what": "项目",
    "value": "值",
    "value [95 %]": "数值 [95%]",
    "warning: {text}": "警告：{text}",
    "yes": "是",
    "{part} of {whole}": "{part}（共 {whole}）",
}
"""Words that every part of a report uses."""

_LEAD: Final[Mapping[str, str]] = {
    "These figures are not to be trusted: the reason is below.": "这些数字不可信，原因见下。",
    "Nothing was measured.": "没有测到数据。",
    "{said}.": "{said}。",
    "joining took {ms} ms": "进房用时 {ms} ms",
    "{took}, for one call in twenty more than {tail}, {goal}{lost}": (
        "{took}，每二十次中有一次超过 {tail} ms，{goal}{lost}"
    ),
    "{took}, {goal}{lost}": "{took}，{goal}{lost}",
    "{took}{lost}, where the goal allows one in twenty": "{took}{lost}，而目标只允许二十分之一",
    "{over} over the goal of {goal}": "比 {goal} ms 的目标慢 {over} ms",
    "within the goal of {goal}": "在 {goal} ms 的目标之内",
    "; {failed} of {count} failed": "；{count} 次中失败 {failed}",
    "none of {count} joins was heard": "{count} 次进房都没有听到声音",
    "the join was never heard": "这次进房没有听到声音",
    "{count} joins were too few to say how long joining takes{lost}": "{count} 次进房太少，无法说明进房用时{lost}",
    "{share} of what was said was lost": "所说的有 {share} 丢失",
    "nobody was heard": "没有听到任何人",
    "what you say comes back after {ms} ms, there and back": "说出的话往返 {ms} ms 后回到自己耳中",
    "people hear each other after {low} to {high} ms ({who} last), {late}": (
        "彼此在 {low} 到 {high} ms 后听到（{who}，最晚），{late}"
    ),
    "you hear each other after {ms} ms, {late}": "双方在 {ms} ms 后听到对方，{late}",
    "{who} after {ms} ms, {late}": "{who}用时 {ms} ms，{late}",
    "the {listener} hears the {talker}": "{listener}听到{talker}",
    "{listener} hears {talker}": "{listener} 听到 {talker}",
    "the {ms:g} ms that an ear notices": "耳朵可察觉的 {ms:g} ms",
    "{limit} not judged": "{limit} 未作判断",
    "later than {limit}, every time": "每次都晚于{limit}",
    "never later than {limit}": "从不晚于{limit}",
    "later than {limit} in {share} of what is said": "其中 {share} 晚于{limit}",
    "not judged: {why}": "未作判断：{why}",
    "out of reach, as {why}": "无法达到，因为 {why}",
    "{share} of {count:,} joins took longer, one in twenty may: {reach}": (
        "{count:,} 次进房中 {share} 更慢，允许二十分之一：{reach}"
    ),
    "{share} of {count:,} markers came later, one in twenty may: {reach}": (
        "{count:,} 个标记中 {share} 更晚，允许二十分之一：{reach}"
    ),
    "{goal} is out of reach here: {why}": "{goal}在此无法达到：{why}",
    "600 ms to connect": "600 ms 接通",
    "100 ms to the ear": "100 ms 到耳",
    "{parts} take {ms} ms": "{parts} 就要 {ms} ms",
    "{parts} take {low} to {high} ms": "{parts} 就要 {low} 到 {high} ms",
    "its steps, each at its quickest,": "各步骤取最快值",
    # Numbers stand before measure words, without a blank; of things Chinese has one plural form (CLDR: "other"), so
    # every count takes the words of one.
    "{number} {things}": "{number}{things}",
    "one": "一",
    # Before a measure word two is 两, not 二.
    "two": "两",
    "three": "三",
    "four": "四",
    "five": "五",
    "six": "六",
    "seven": "七",
    "eight": "八",
    "nine": "九",
    "ten": "十",
    # What is counted, each with its own measure word.
    "join": "次进房",
    "call": "次通话",
    "marker": "个标记",
    "wait": "次等待",
    "lost STUN check": "次丢失的 STUN 检查",
    "lost DTLS flight": "次丢失的 DTLS 握手包",
    "lost signalling segment": "个丢失的信令分段",
    "lost segment": "丢失的信令分段",
    "this failed join": "这次失败的进房",
    "this {total} ms join": "这次 {total} ms 的进房",
    "{cost} ms of {whole} was {what}": "{whole}中有 {cost} ms 是{what}所致",
    "{cost} ms of {whole} were {what}": "{whole}中有 {cost} ms 是{what}所致",
}
"""What was found, in a sentence."""

_SCREEN: Final[Mapping[str, str]] = {
    "Join: {heard} of {total} heard, ms": "进房：{total} 次中 {heard} 次听到，ms",
    "first audio": "首音",
    "later than {limit:g} ms: {share} of {count} joins (goal 5%): {word}": (
        "慢于 {limit:g} ms：{count} 次进房中 {share}（目标 5%）：{word}"
    ),
    "slowest: {told}": "最慢：{told}",
    "gave up: {steps}": "放弃于：{steps}",
    "total ({trips} round trips)": "合计（{trips} 个往返）",
    "{name} needs {needs} joins, {made} made": "{name} 需要 {needs} 次进房，只有 {made} 次",
    "{name} never ({never} of {count} failed)": "{name} 从未（{count} 次中失败 {never} 次）",
    "Mouth to ear: {calls} calls, ms": "嘴到耳时延：{calls} 次通话，ms",
    "Mouth to ear, ms": "嘴到耳时延，ms",
    # In Chinese a per cent sign has no blank before it.
    "p50 [95 %]": "p50 [95%]",
    "p95 [95 %]": "p95 [95%]",
    "later than 100 ms [95 %]": "晚于 100 ms [95%]",
    "heard, rejected, lost": "听到、存疑、丢失",
    "frames lost → not played": "丢帧 → 未播放",
    "RED, FEC, NACK brought (+ms)": "RED、FEC、NACK 找回（+ms）",
    "RED, FEC, NACK (+ms)": "RED、FEC、NACK（+ms）",
    "R, MOS talking, listening": "R、通话 MOS、收听 MOS",
    "R, MOS, listening": "R、MOS、收听",
    "sum (playout {policies})": "合计（播放策略 {policies}）",
    "Frames": "帧",
    "lost → not played": "丢失 → 未播放",
    "Mean, soonest and latest": "均值，最早与最晚",
    "the {few} latest of {all} ways; the page and the JSON have all": (
        "共 {all} 路，列出最晚的 {few} 路；网页与 JSON 有全部"
    ),
    "needs {count} markers": "需要 {count} 个标记",
    "Link": "链路",
    "{title}, {few} longest of {all}": "{title}，{all} 条中最长的 {few} 条",
    "loss": "丢包",
    "loss (mean burst, packets)": "丢包（平均连丢包数）",
    "is that chance? [95 %]": "是否偶然？[95%]",
    "delay p50/p95, ms": "时延 p50/p95，ms",
    "reordered": "乱序",
    "marked (ECN)": "标记（ECN）",
    "drops by cause": "丢弃原因",
    "drops by cause: {legs}": "丢弃原因：{legs}",
    "chance loses as asked less than once in twenty: {legs}": "偶然丢成这样的可能不到二十分之一：{legs}",
    "Target: {target}": "目标：{target}",
    "Harness, ms": "测量装置，ms",
    "timers": "时钟",
    "virtual, never late": "虚拟，从不迟到",
    "detection": "检测误差",
    "emulator": "模拟器",
    "pacing": "发送节拍",
    "loop lag": "循环滞后",
    "CPU a join": "每次进房 CPU",
    "Budgets": "指标要求",
    "Budgets: none given": "指标要求：未给出",
}
"""The terminal."""

_PARTS: Final[Mapping[str, str]] = {
    "signaling": "信令",
    "answer": "应答",
    "offer received": "收到邀请",
    "offer": "邀请",
    "answer sent": "发出应答",
    "gathering": "收集候选",
    "ice": "ICE",
    "dtls": "DTLS",
    "media": "媒体",
    "playout": "播放",
    "capture": "采集",
    "packetisation": "打包",
    "look ahead": "前视",
    "sender pacing": "发送等待",
    "network min": "网络最小",
    "network variable": "网络波动",
    "network and target": "网络与目标",
    "network and page": "网络与页面",
    "network": "网络",
    "mixer": "混音器",
    "{ms} ms from {at} s on": "第 {at} 秒起 {ms} ms",
    "The mixer kept {way}: {heights}.": "混音器对 {way} 的保留：{heights}。",
    "jitter buffer": "抖动缓冲",
    "decode block": "解码块",
    "device": "设备",
    "residual": "余量",
    "phase": "阶段",
    "stage": "环节",
    "whole join": "整个进房",
}
"""Phases of a join and stages of a delay."""

_ROOM: Final[Mapping[str, str]] = {
    # Roles that scenarios of ours have; a role of somebody's own stays as it was written.
    "host": "主播",
    "co-host": "连麦主播",
    "guest": "嘉宾",
    "audience": "观众",
    "Room": "房间",
    "Who hears whom, p50 ms: rows speak, columns hear": "谁听谁，p50 ms：行说，列听",
    "Who hears whom, p50 ms: rows speak, columns hear; of groups the latest pair": (
        "谁听谁，p50 ms：行说，列听；分组取最晚的一对"
    ),
    "Who hears whom, ms: rows speak, columns hear; large p50, small p95": (
        "谁听谁，ms：行说，列听；大字 p50，小字 p95"
    ),
    "Who hears whom, ms: rows speak, columns hear; large p50 (of groups the latest pair), small p95 of all": (
        "谁听谁，ms：行说，列听；大字 p50（分组取最晚的一对），小字为全部的 p95"
    ),
    "Who sees whom, p50 ms: rows show, columns watch": "谁看谁，p50 ms：行为画面，列为观看",
    "Who sees whom, p50 ms: rows show, columns watch; of groups the latest pair": (
        "谁看谁，p50 ms：行为画面，列为观看；分组取最晚的一对"
    ),
    "Who sees whom, ms: rows show, columns watch; large p50, small p95": (
        "谁看谁，ms：行为画面，列为观看；大字 p50，小字 p95"
    ),
    "Who sees whom, ms: rows show, columns watch; large p50 (of groups the latest pair), small p95 of all": (
        "谁看谁，ms：行为画面，列为观看；大字 p50（分组取最晚的一对），小字为全部的 p95"
    ),
    "speaks ↓, hears →, p50 ms": "说 ↓，听 →，p50 ms",
    "latest pairs, p50 and p95, ms": "最晚的几对，p50 与 p95，ms",
    "latest pictures, p50 and p95, ms": "画面最晚的几对，p50 与 p95，ms",
    "latest of {count} pairs: {pair}": "{count} 对中最晚：{pair}",
    "{pair} never heard": "{pair} 从未听到",
    "; {count} never heard": "；{count} 对从未听到",
    "{pair} never seen": "{pair} 从未看到",
    "; {count} never seen": "；{count} 对从未看到",
    "one word's listeners apart, of those who heard it": "同一句话的听众先后差（限听到者）",
    "{talker} {spread} ms ({first} first, {last} last)": "{talker} {spread} ms（{first} 最先，{last} 最后）",
    "gaps, of the time listened to": "卡顿率（占收听时长）",
    "joins, {who}": "进房，{who}",
    "{one} within 1 s, {five} within 5 s": "1 秒内 {one}，5 秒内 {five}",
    "on stage → heard, {party}": "上麦 → 被听到，{party}",
    "on stage → seen, {party}": "上麦 → 被看到，{party}",
    "{party} gone → nobody after": "{party} 离开 → 此后无主播",
    "{party} gone → silence until {after}": "{party} 离开 → 静默，直到 {after}",
    "joined meanwhile → first sound": "中途进房 → 首音",
    "joined meanwhile → first picture": "中途进房 → 首帧",
    "{low} to {high} ms, median {middle} ({last} last)": "{low} 到 {high} ms，中位 {middle}（{last} 最晚）",
    "{middle} ms ({last})": "{middle} ms（{last}）",
    "never at {who}": "{who} 从未",
    "never at {who} ({count} times)": "{who} 从未（{count} 次）",
    "talk-over window, of who heard each other": "抢话窗口（限互相听到者）",
    "{share} collide": "{share} 撞话",
    ", if one who waits begins at {rate:g}/s: a model": "，假设等待者每秒开口 {rate:g} 次：模型估计",
    "The first call's {seconds:.1f} s: who was heard": "第一次通话的 {seconds:.1f} 秒：谁被听到",
    "The first call, s: who was heard when": "第一次通话，秒：谁何时被听到",
    "heard by somebody": "有人听到",
    "heard {periods}": "被听到 {periods}",
    "a gap of 80 ms or longer": "80 ms 及以上的卡顿",
    "; {count} gaps": "；{count} 次卡顿",
    "goes on stage": "上麦",
    "goes on stage, or speaks": "上麦或发言",
    "falls silent": "静音",
    "In {service}'s words": "按 {service} 的口径",
}
"""A room."""

_SENT: Final[Mapping[str, str]] = {
    "Messages: {calls} calls, ms": "消息：{calls} 次通话，ms",
    "Messages, ms": "消息，ms",
    "Messages, by direction": "消息，按方向",
    "Messages: due at one side → delivered at the other": "消息：一方应发 → 另一方送达",
    "p99 [95 %]": "p99 [95%]",
    "delivered, wrong, lost": "送达、出错、丢失",
    "sum": "合计",
    "waited in line": "排队等待",
    "{name}: times, after": "{name}：次数，等待",
    "{name}: times, waited before": "{name}：次数，之前等待",
    "waited in line, longest": "排队等待，最长",
    "waited for an earlier one: share, longest": "等待前一条：占比，最长",
    "wait in line, mean, ms": "排队等待，均值，ms",
    "channel open after, ms": "通道打开用时，ms",
    "slowest: message {number}{whose} took {ms} ms, {what}": "最慢：第 {number} 条消息{whose}用时 {ms} ms，{what}",
    "of it {stages} ({rules})": "其中 {stages}（{rules}）",
    "needs {things}": "需要 {things}",
    "message": "条消息",
    "opening": "打开通道",
    "queue": "发送排队",
    "retransmission": "重传",
    "head of line": "排队等待",
}
"""Messages."""

_SEEN: Final[Mapping[str, str]] = {
    "Glass to glass: {calls} calls, ms": "画面时延：{calls} 次通话，ms",
    "Glass to glass, ms": "画面时延，ms",
    "Glass-to-glass delay, by direction": "画面时延，按方向",
    "Glass-to-glass delay, by way": "画面时延，按路",
    "{sound}, {picture} ({count} steps)": "{sound}、{picture}（{count} 步）",
    "frozen": "卡顿",
    "first picture": "首帧",
    "seen, left out, lost": "看到、舍弃、丢失",
    "sum (shown by {policies})": "合计（显示策略 {policies}）",
    "frozen, freezes, longest": "卡顿、次数、最长",
    "full size, else for; target": "全尺寸占比，最长非全尺寸；目标码率",
    "pictures of full size, longest time without, target": "全尺寸画面占比、最长非全尺寸时间、目标码率",
    "lips after voice p50, range": "口型晚于声音 p50，范围",
    "held back: sound, picture": "对齐延后：声音、画面",
    "held back: sound, picture, ms": "对齐延后：声音、画面，ms",
    "share of the time frozen": "卡顿时间占比",
    "frames shown a second": "每秒显示帧数",
    "PSNR mean, p5, worst second, dB": "PSNR 均值、p5、最差一秒，dB",
    "SSIM mean, p5, worst second": "SSIM 均值、p5、最差一秒",
    "lips after voice: least, median, most, ms": "口型晚于声音：最小、中位、最大，ms",
    "needs {count} frames": "需要 {count} 帧",
    "first picture p50 {picture} ms (packet {packet}, key frame whole {key}), slowest {slowest}{asked}": (
        "首帧 p50 {picture} ms（首包 {packet}，关键帧收全 {key}），最慢 {slowest}{asked}"
    ),
    "; of {count} joins {told}": "；{count} 次进房中 {told}",
    "{count} asked for packets again": "{count} 次请求重传",
    "{count} asked for a key frame": "{count} 次请求关键帧",
    "film": "曝光",
    "encode": "编码",
    "decode": "解码",
    "render": "渲染",
    "display": "显示",
}
"""Pictures."""

_SERVICES: Final[Mapping[str, str]] = {
    "audio freeze rate": "音频卡顿率",
    "video freeze rate": "视频卡顿率",
    "audio stall rate": "音频卡顿率",
    "video stall rate": "视频卡顿率",
    "joins within 5 s": "5 秒进房成功率",
    "first sound within a second": "首音秒开率",
    "capture to playback, mean": "端到端延迟，均值",
    "sound within 400 ms": "400 ms 时延达标率",
    "joins whose first sound was heard within 1 s ÷ joins": "1 秒内听到首音的进房次数 ÷ 进房次数",
    "joins done within 5 s ÷ joins": "5 秒内完成的进房次数 ÷ 进房次数",
    "pauses of rendering of 200 ms and longer ÷ duration of all subscribed audio streams": (
        "200 ms 及以上的播放停顿时长 ÷ 所有订阅音频流的总时长"
    ),
    "pauses of rendering of 600 ms and longer (native) ÷ duration of all subscribed video streams": (
        "600 ms 及以上的渲染停顿时长（原生端） ÷ 所有订阅视频流的总时长"
    ),
    "mean delay from the speaker's capture to the listener's playback": "从说话方采集到收听方播放的平均延迟",
    "audioTotalBlockTime ÷ total playback time; pauses of 200 ms and longer": (
        "audioTotalBlockTime ÷ 播放总时长；停顿 200 ms 及以上"
    ),
    "videoTotalBlockTime ÷ total playback time; freezes of 500 ms and longer": (
        "videoTotalBlockTime ÷ 播放总时长；停顿 500 ms 及以上"
    ),
    "mean delay of the whole chain: capture, encoding, network, buffering, decoding, playback": (
        "全链路平均延迟：采集、编码、网络、缓冲、解码、播放"
    ),
    "time in stalls of 80 ms and longer ÷ time of the call": "80 ms 及以上的卡顿时长 ÷ 通话时长",
    "time in stalls of 500 ms and longer ÷ time of the call": "500 ms 及以上的卡顿时长 ÷ 通话时长",
    "share of the time in which the delay between two is within 400 ms": "两方延迟在 400 ms 之内的时间占比",
    "ours ends with the first sound heard, later than a server's word that it is joined": (
        "本工具以听到首音为准，晚于服务器宣告进房"
    ),
    "ours begins in the air before the microphone and ends in the air before the loudspeaker": (
        "本工具从话筒前的声音算到扬声器前的声音"
    ),
    "the page names no length from which a pause counts: 200 ms is taken": "文档未写停顿起算长度，此处取 200 ms",
    "the page names no length from which a freeze counts: 500 ms is taken": "文档未写停顿起算长度，此处取 500 ms",
    "the page's own sentence says stalls within 80 ms; its name is read as from 80 ms on": (
        "文档原句写作“80 ms 以内”，此处按指标名理解为 80 ms 及以上"
    ),
    "ours is mouth to ear, which holds more than the network: it is the stricter": (
        "本工具测的是嘴到耳时延，包含网络以外的部分，更严格"
    ),
    "industry usage; no service's page that defines it was found": "行业惯用说法，未找到厂商文档的定义",
}
"""What figures are in services' words."""

_PAGE: Final[Mapping[str, str]] = {
    ": the band holds every one from the least to the most delayed, the line is the median": (
        "：色带从最早到最晚，线为中位数"
    ),
    "A dot a join; those never heard keep the line below 100 %. Dashed: budgets.": (
        "一点为一次进房；从未听到的使曲线达不到 100%。虚线：指标要求。"
    ),
    "All joins: share heard within so many ms": "全部进房：多少毫秒内听到的占比",
    "All markers: share heard within so many ms": "全部标记：多少毫秒内听到的占比",
    "All joins, ms [95 % interval]": "全部进房，ms [95% 区间]",
    "All results, ms; mouth to ear: the slowest way": "全部结果，ms；嘴到耳取最慢的一路",
    "All {count} budgets were met": "{count} 项指标全部达标",
    "Budgets, those that need a look first": "指标要求，需关注的在前",
    "Drawn are the soonest way and the latest; {count} more are in the table.": (
        "图中为最早与最晚的几路；其余 {count} 路见表。"
    ),
    "Glass to glass: frame filmed → the same frame shown": "画面时延：拍到一帧 → 显示同一帧",
    "Harness: what the instrument itself adds": "测量装置自身的影响",
    "Interrupted: only what was measured until then is here.": "已中断：只有此前测到的数据。",
    "Join": "进房",
    "Join: call started → first sample of the other side heard": "进房：开始呼叫 → 听到对方第一个声音",
    "Joins never heard": "从未听到的进房",
    "Later than {limit:g} ms to connect": "接通慢于 {limit:g} ms",
    "Later than {limit:g} ms to the ear, {way}": "到耳晚于 {limit:g} ms，{way}",
    "Link, and harness": "链路与测量装置",
    "Link: requested next to achieved": "链路：设定与实际",
    "Markers not heard keep a line below 100 %.": "没有听到的标记使曲线达不到 100%。",
    "Measured; there was no budget to judge it by.": "已测量；没有可据以判断的指标要求。",
    "Mouth to ear, {way}": "嘴到耳，{way}",
    "Mouth to ear, {way}: longest is {what}.": "嘴到耳，{way}：最长的是{what}。",
    "Mouth to ear: marker spoken → marker heard": "嘴到耳时延：说出标记 → 听到标记",
    "Mouth-to-ear delay, by direction": "嘴到耳时延，按方向",
    "Mouth-to-ear delay, by way": "嘴到耳时延，按路",
    "MOS talking, listening": "通话 MOS、收听 MOS",
    "Negotiated with the other side": "与对方协商的内容",
    "No budget missed; {undecided} of {count} undecided at {confidence}": (
        "没有未达标项；{count} 项中 {undecided} 项未定（{confidence}）"
    ),
    "No budget was binding": "没有强制的指标要求",
    "No join was tried.": "没有尝试进房。",
    "None were given.": "未给出。",
    "Not to be trusted: {why}.": "不可信：{why}。",
    "R (E-model)": "R（E 模型）",
    "Result": "结果",
    "Run it again": "重新运行",
    "Save the scenario below as scenario.yaml first.": "先把下面的场景存为 scenario.yaml。",
    "Scenario digest": "场景摘要",
    "Slowest join": "最慢的进房",
    "Slowest join: {what}.": "最慢的进房：{what}。",
    "The browsers, and what was done to them": "浏览器及对其所做的改动",
    "The budget was met": "指标要求已达标",
    "The call was cut short: {why}": "通话提前结束：{why}",
    "The command was checked: it has this digest with the version that wrote this page.": (
        "命令已核对：在写此页的版本上摘要相同。"
    ),
    "The scenario, complete": "完整场景",
    "The time is that of the sound above.": "时间轴与上面的声音相同。",
    "Typical join": "典型进房",
    "Typical join: longest is {what}.": "典型进房：最长的是{what}。",
    "Versions": "版本",
    "Warning: {text}": "警告：{text}",
    "With equal versions, equal seeds give equal figures to the last digit.": "版本相同、种子相同，数字就逐位相同。",
    "Written by rtcprobe. This page needs no network.": "由 rtcprobe 生成。此页无需联网。",
    "concealed sound": "补偿出的声音",
    "delay least, ms": "时延最小，ms",
    "delay most, ms": "时延最大，ms",
    "delay p50, ms": "时延 p50，ms",
    "delay p95, ms": "时延 p95，ms",
    "delay p99, ms": "时延 p99，ms",
    "delay that copies cost, ms": "冗余带来的时延，ms",
    "bit rate sent, kbit/s": "发送码率，kbit/s",
    "corrupted": "损坏",
    "duplicated": "重复",
    "for comparison, stock aiortc: holds p50 / p95, ms": "对照，原版 aiortc：滞留 p50 / p95，ms",
    "frame seen": "看到的帧",
    "frames lost on the way": "途中丢失的帧",
    "frames not played": "未播放的帧",
    "is that loss chance? [95 %]": "丢包是否偶然？[95%]",
    "jitter buffer's mean target, ms": "抖动缓冲平均目标，ms",
    "jitter buffer's target": "抖动缓冲目标",
    "left out by the receiver, or not to be read": "接收端舍弃或无法读出",
    "lost DTLS": "丢失的 DTLS",
    "marker heard": "听到的标记",
    "mean burst, packets": "平均连丢，包",
    "mean; min–max, ms": "均值；最小–最大，ms",
    "mouth to ear p50": "嘴到耳 p50",
    "mouth to ear p95": "嘴到耳 p95",
    "join p50": "进房 p50",
    "join p95": "进房 p95",
    "needs {count}": "需要 {count} 个",
    "no reason was recorded": "没有记录原因",
    "packets delivered": "送达的包",
    "packets sent": "发出的包",
    "playout {policy}; grey: set by the scenario": "播放策略 {policy}；灰色：由场景设定",
    "rate of the line, kbit/s": "线路速率，kbit/s",
    "rejected as heard too unsurely": "听得不够确定而存疑",
    "scenario": "场景",
    "seed": "种子",
    "target": "目标",
    "the confidence asked for": "所要求的置信度",
    "the picture stood still": "画面静止",
    "when, UTC": "时间，UTC",
    "when, ms": "时间，ms",
    "detection error": "检测误差",
    "{count} more retransmission cost it nothing": "另有 {count} 次重传没有代价",
    "{count} more retransmissions cost it nothing": "另有 {count} 次重传没有代价",
    "{count} results": "{count} 个结果",
    "{heard} of {total} heard": "{total} 次中 {heard} 次听到",
    "{heard} of {total} markers heard": "{total} 个标记中 {heard} 个听到",
    "{missed} of {count} budgets missed: {line} is {value}{more}.": (
        "{count} 项指标中 {missed} 项未达标：{line} 为 {value}{more}。"
    ),
    "{name}: {count} runs": "{name}：{count} 次运行",
    "{part}, {ms} of {total} ms ({share:.0%})": "{part}，{total} ms 中占 {ms} ms（{share:.0%}）",
    "{rtts:.1f} round trips of the media path": "媒体路径的 {rtts:.1f} 个往返",
    "{said} ({count} times)": "{said}（{count} 次）",
    "{said}; {count} advisory missed.": "{said}；{count} 项建议未达标。",
    "{share:.0%} confidence": "{share:.0%} 置信度",
    "{spread} of {count:,} joins · goal 5%: {word}": "{spread} {count:,} 次进房 · 目标 5%：{word}",
    "{spread} of {count:,} markers · goal 5%: {word}": "{spread} {count:,} 个标记 · 目标 5%：{word}",
    "{what}, mean {ms} ms": "{what}，均值 {ms} ms",
    "{what}, median": "{what}，中位数",
    "{what}, {ms} ms": "{what}，{ms} ms",
}
"""The page."""

CHINESE: Final[Mapping[str, str]] = {
    **_SHARED,
    **_LEAD,
    **_SCREEN,
    **_PARTS,
    **_ROOM,
    **_SENT,
    **_SEEN,
    **_SERVICES,
    **_PAGE,
}
"""Every text in Chinese, by its English."""

CHINESE_SENTENCES: Final[Mapping[str, str]] = {
    # Why a budget is what it is (verdict/budgets.py).
    "{aggregate} needs {needs} samples, {have} were taken": "{aggregate} 需要 {needs} 个样本，只有 {have} 个",
    "{never} of {have} never came, later than any limit": "{have} 个中有 {never} 个从未到来，晚于任何限度",
    "the limit lies inside the {kind}: another seed may decide otherwise": "限值落在{kind}之内：换个种子结论可能不同",
    "the limit lies inside the {kind}: another seed may decide otherwise; {cure} would close it": (
        "限值落在{kind}之内：换个种子结论可能不同；{cure}可使区间有界"
    ),
    "95 % interval": " 95% 区间",
    "95 % interval, which is open": "无界的 95% 区间",
    "several calls (--calls 5 or more)": "多打几次（--calls 5 或更多）",
    "{needed} samples": "{needed} 个样本",
    "{way}: heard, but this cannot be told of it": "{way}：听到了，但此项无从得知",
    "{why}; {way}: heard, but this cannot be told of it": "{why}；{way}：听到了，但此项无从得知",
    # Why a run is what it is (verdict/judge.py).
    "every budget that binds is about joins, and this engine makes none": "强制指标都关于进房，而此引擎不进房",
    "interrupted: only what was measured until then is here": "已中断：只有此前测到的数据",
    "the call was cut: {why}": "通话提前结束：{why}",
    "no join was tried": "没有尝试进房",
    "none of {count} joins was heard (gave up: {steps})": "{count} 次进房都没有听到声音（放弃于：{steps}）",
    "{way}: nothing was said while it could be heard": "{way}：可听期间没有人说话",
    "{way}: none of {count} {things} was heard": "{way}：{count} 个{things}，一个也没有到",
    # Why it cannot be trusted (probe/harness.py, probe/stalls.py).
    "the instrument dominated: {what} was {late} ms late at p95, more than {limit} ms": (
        "测量装置占了主导：{what}在 p95 处迟到 {late} ms，超过 {limit} ms"
    ),
    "its loop": "其循环",
    "its emulator": "其模拟器",
    "its mouth": "其发声",
    "the ear is wrong: {way}, its stages miss what it heard by {ms} ms, more than {limit} ms": (
        "听音有误：{way}，各环节之和与所听相差 {ms} ms，超过 {limit} ms"
    ),
    "the ear is wrong: it errs by {ms} ms on this speech without any network, more than {limit} ms; {cure}": (
        "听音有误：没有网络时在此语音上就偏差 {ms} ms，超过 {limit} ms；{cure}"
    ),
    "give it other speech, or more bits": "请换语音或提高码率",
    # Rooms (call/targets/sfu.py, sfu_call.py, emulated.py, sfu_script.py, call/script.py).
    "assumed: a join takes a server {work} of work, {count} at a time (target.service)": (
        "假设：每次进房占用服务器 {work}，同时 {count} 个（target.service）"
    ),
    "assumed: a join takes a server {work} of work, one at a time (target.service)": (
        "假设：每次进房占用服务器 {work}，一次一个（target.service）"
    ),
    "servers {one} and {other} do not reach each other: what is said at one is not heard at the other": (
        "服务器 {one} 与 {other} 互不可达：一边说的，另一边听不到"
    ),
    "server {server} died {seconds} s into the call": "服务器 {server} 在通话第 {seconds} 秒停机",
    "{party}'s media path broke {seconds} s into the call": "{party} 的媒体路径在通话第 {seconds} 秒中断",
    "cue {cue} was not carried out: that never came to pass": "提示“{cue}”没有执行：条件从未发生",
    "cue {cue} was not carried out: {party} was there already": "提示“{cue}”没有执行：{party} 已在房内",
    "cue {cue} was not carried out: {party} was not there by then": "提示“{cue}”没有执行：{party} 当时不在房内",
    "{party} {awaited} not within {seconds} s; no timer had fired": (
        "{party} {awaited}：{seconds} 秒内没有；没有定时器触发"
    ),
    "{party} {awaited} not within {seconds} s; {side}'s {timer} timer had resent {count} times, last its {what}": (
        "{party} {awaited}：{seconds} 秒内没有；{side} 的 {timer} 定时器已重发 {count} 次，最后是 {what}"
    ),
    "{party} {awaited} gave up; {side}'s {timer} timer had resent {count} times, last its {what}": (
        "{party} {awaited}：已放弃；{side} 的 {timer} 定时器已重发 {count} 次，最后是 {what}"
    ),
    "answer received": "收到应答",
    "ICE connected": "ICE 连通",
    "DTLS connected": "DTLS 连通",
    "first packet": "首包",
    "STUN check": "STUN 检查",
    # Regions (link/border.py).
    "into mainland China the public network is taken as busy, {told} (Zhu et al., 2020): "
    "say border busy, quiet or worst, or backbone private": (
        "进入中国大陆的公网按繁忙计，{told}（Zhu 等，2020）：可写 border busy、quiet 或 worst，或 backbone private"
    ),
    "border has no effect: {why}": "border 不起作用：{why}",
    "a private backbone has no border": "私有骨干没有边界",
    "no path enters mainland China": "没有路径进入中国大陆",
    # Links (link/requested.py).
    "delays are without the wait for a slot": "时延不含等待时隙",
    "delays are without the time spent waiting for the line and being sent": "时延不含排队和发送所占的时间",
    "delays are before order is kept: a packet that waits for the one before it takes longer": (
        "时延为保序之前：等待前一个包的要更久"
    ),
    "delays are without handovers": "时延不含切换",
    # Messages and pictures (probe/messaging.py, probe/run.py).
    "{way}: the channel never opened (SCTP had come to {state})": "{way}：通道从未打开（SCTP 停在 {state}）",
    "{what} are not {done} with {target}: the sound was": "与 {target} 不交换 {what}（{done}）：只有声音",
}
"""Sentences of the measurement, as results keep them: pattern and Chinese."""
