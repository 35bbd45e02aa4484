--- The text of `msg`, in the language that the `Language` header asks for.
local api = require "keysecure.api"

local messages = {}

-- Codes whose `msg` names the field [P].
local NAMES_FIELD = { [1004] = true, [2007] = true, [2008] = true, [2009] = true, [2010] = true,
  [4010] = true }

local ENGLISH = { [0] = "Success", [404] = "Not Found", [405] = "Method Not Allowed",
  [413] = "Payload Too Large" }

local CHINESE = {
  [0] = "成功", [404] = "路径不存在", [405] = "请求方法不支持", [413] = "请求体过大",
  [1001] = "系统异常，请稍后再试", [1002] = "缺少 Api-Key", [1003] = "IP 不在白名单内",
  [1004] = "参数无效", [1005] = "时间戳无效或已过期", [1006] = "缺少 Access-Token",
  [1007] = "Access-Token 无效或已过期", [1008] = "Api-Key 不存在", [1009] = "请求过于频繁",
  [1010] = "Api-Key 未启用", [1011] = "Api-Key 已过期", [1012] = "接入模式不支持",
  [1013] = "未开通 PCI", [1014] = "Client-Access-Token 无效或已使用",
  [1015] = "父页面来源不在白名单内", [1016] = "来源与配置不一致", [1017] = "重放请求",
  [1018] = "Sec-Fetch 校验失败", [1019] = "结束时间必须晚于开始时间", [1020] = "时间范围过大",
  [1021] = "商户不存在", [1022] = "商户状态异常", [2001] = "持卡人已存在",
  [2002] = "持卡人不存在", [2003] = "持卡人已通过认证", [2004] = "持卡人认证中",
  [2005] = "持卡人认证未通过", [2006] = "KYC 数据不可用", [2007] = "地址包含不支持的符号",
  [2008] = "仅支持英文", [2009] = "国家不支持", [2010] = "邮政编码无效",
  [2011] = "唯一编号不一致", [3001] = "余额不足", [4001] = "卡不存在",
  [4002] = "消费记录不存在", [4003] = "卡产品不存在", [4005] = "卡状态不允许该操作",
  [4010] = "参数错误", [4016] = "PIN 不符合规则", [4017] = "虚拟卡不支持",
}

local function in_english(code, field)
  if NAMES_FIELD[code] and field then
    return field .. " invalid parameter"
  end
  local known = api.codes[code]
  return ENGLISH[code] or (known and known.text) or "error"
end

local function in_chinese(code, field)
  local text = CHINESE[code] or in_english(code, field)
  return NAMES_FIELD[code] and field and field .. " " .. text or text
end

--- The `msg` for a code.
---@param code integer
---@param field? string     such as "address_info.city"
---@param language? string  the header; en_US unless it is zh_CN
---@return string
function messages.text(code, field, language)
  return (language == "zh_CN" and in_chinese or in_english)(code, field)
end

return messages
