// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/*
 * A token that behaves as SNT does, written for these tests: a transfer above
 * the balance answers false in a successful transaction without a log, a
 * transfer of nothing answers true without a log, the zero address and the
 * token itself are refused, balances are kept as checkpoints, and a
 * controller may move, make and destroy tokens and stop transfers.
 */
contract MiniMe {
	struct Checkpoint {
		uint128 fromBlock;
		uint128 value;
	}

	string public constant name = "Status Test Token";
	string public constant symbol = "SNT";
	uint8 public constant decimals = 18;
	address public controller;
	bool public transfersEnabled = true;
	mapping(address => Checkpoint[]) private balances;
	mapping(address => mapping(address => uint256)) private allowed;
	Checkpoint[] private supply;

	event Transfer(address indexed from, address indexed to, uint256 value);
	event Approval(address indexed owner, address indexed spender, uint256 value);

	modifier onlyController() {
		require(msg.sender == controller);
		_;
	}

	constructor() {
		controller = msg.sender;
		generate(msg.sender, 1e27);
	}

	function balanceOf(address owner) external view returns (uint256) {
		return valueAt(balances[owner], block.number);
	}

	function balanceOfAt(address owner, uint256 blockNumber) external view returns (uint256) {
		return valueAt(balances[owner], blockNumber);
	}

	function totalSupply() external view returns (uint256) {
		return valueAt(supply, block.number);
	}

	function totalSupplyAt(uint256 blockNumber) external view returns (uint256) {
		return valueAt(supply, blockNumber);
	}

	function allowance(address owner, address spender) external view returns (uint256) {
		return allowed[owner][spender];
	}

	function transfer(address to, uint256 value) external returns (bool) {
		require(transfersEnabled);
		return move(msg.sender, to, value);
	}

	function transferFrom(address from, address to, uint256 value) external returns (bool) {
		if (msg.sender != controller) {
			require(transfersEnabled);
			if (allowed[from][msg.sender] < value)
				return false;
			allowed[from][msg.sender] -= value;
		}
		return move(from, to, value);
	}

	function approve(address spender, uint256 value) external returns (bool) {
		require(transfersEnabled);
		require(value == 0 || allowed[msg.sender][spender] == 0);
		allowed[msg.sender][spender] = value;
		emit Approval(msg.sender, spender, value);
		return true;
	}

	function changeController(address next) external onlyController {
		controller = next;
	}

	function enableTransfers(bool enabled) external onlyController {
		transfersEnabled = enabled;
	}

	function generateTokens(address owner, uint256 value) external onlyController returns (bool) {
		generate(owner, value);
		return true;
	}

	function destroyTokens(address owner, uint256 value) external onlyController returns (bool) {
		put(supply, valueAt(supply, block.number) - value);
		put(balances[owner], valueAt(balances[owner], block.number) - value);
		emit Transfer(owner, address(0), value);
		return true;
	}

	function generate(address owner, uint256 value) private {
		put(supply, valueAt(supply, block.number) + value);
		put(balances[owner], valueAt(balances[owner], block.number) + value);
		emit Transfer(address(0), owner, value);
	}

	function move(address from, address to, uint256 value) private returns (bool) {
		if (value == 0)
			return true;
		require(to != address(0) && to != address(this));
		uint256 had = valueAt(balances[from], block.number);
		if (had < value)
			return false;
		put(balances[from], had - value);
		put(balances[to], valueAt(balances[to], block.number) + value);
		emit Transfer(from, to, value);
		return true;
	}

	function valueAt(Checkpoint[] storage points, uint256 blockNumber) private view returns (uint256) {
		for (uint256 i = points.length; i > 0; i--) {
			if (points[i - 1].fromBlock <= blockNumber)
				return points[i - 1].value;
		}
		return 0;
	}

	function put(Checkpoint[] storage points, uint256 value) private {
		require(value <= type(uint128).max);
		uint256 n = points.length;
		if (n > 0 && points[n - 1].fromBlock == block.number)
			points[n - 1].value = uint128(value);
		else
			points.push(Checkpoint(uint128(block.number), uint128(value)));
	}
}
